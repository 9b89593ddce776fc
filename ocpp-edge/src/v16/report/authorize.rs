use super::Reporter;
use crate::persist::{Failure, persist};
use crate::v16::from_charger::{Authorize, AuthorizeResponse};

impl Reporter<'_> {
    pub(super) async fn authorize(&mut self, authorize: Authorize<'_>) -> Result<AuthorizeResponse, Failure> {
        let circumstances = self.circumstances(self.now().times);
        let retry_for = self.edge.config.limits.authorize_retry_for;
        let verdict = persist(retry_for, || self.link.authorize(&circumstances, &authorize.id_tag)).await?;
        Ok(AuthorizeResponse { id_tag_info: verdict.into() })
    }
}
