use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    pub user_id: String,
    /// driver or operator.
    pub role: String,
    /// Null for an operator.
    pub driver_id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    /// The active plan. Without one, no charge can be started.
    pub plan: Option<MePlan>,
    pub position: i64,
}

/// The plan of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MePlan {
    pub plan_id: String,
    pub name: Option<String>,
    pub tariff_id: Option<String>,
}
