use application::report::Verdict;
use domain::charge_point;

use crate::v16::from_charger::{AuthorizationStatus, IdTagInfo};

impl From<Verdict> for IdTagInfo {
    fn from(verdict: Verdict) -> Self {
        use charge_point::AuthorizationStatus as Domain;
        let status = match verdict.status {
            Domain::Accepted => AuthorizationStatus::Accepted,
            // 1.6 has no word for a driver who has no plan.
            Domain::Blocked | Domain::NoActivePlan => AuthorizationStatus::Blocked,
            Domain::Expired => AuthorizationStatus::Expired,
            Domain::Invalid => AuthorizationStatus::Invalid,
            Domain::ConcurrentTransaction => AuthorizationStatus::ConcurrentTx,
        };
        Self {
            status,
            expiry_date: verdict.expires_at,
            // A group that 1.6 can't carry stops nothing, as none does.
            parent_id_tag: verdict.group.and_then(|group| group.try_into().ok()),
        }
    }
}
