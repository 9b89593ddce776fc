//! Dropping the build that does not serve.

use schema::view::Model;

use super::builds::{self, Build, BuildState};
use super::guard::Guard;
use super::{Error, Rebuilder};

impl Rebuilder {
    /// Drops the build beside the live one, whether it is being made, has joined or has served before. Answers which it was.
    ///
    /// # Errors
    /// When there is none, or somebody is at work on it.
    pub async fn discard(&self, model: Model) -> Result<Build, Error> {
        let guard = Guard::take(self, model).await?;
        let dropped = self.discard_alone(model).await;
        guard.release().await;
        dropped
    }

    async fn discard_alone(&self, model: Model) -> Result<Build, Error> {
        let mut transaction = self.pool.begin().await?;
        // The workers are to forget it before it is gone.
        sqlx::query("SELECT views.end_runs()").persistent(false).execute(&mut *transaction).await?;
        let there = builds::read(&mut *transaction, Some(model)).await?;
        let shadow = there.into_iter().find(|build| build.state != BuildState::Live);
        let shadow = shadow.ok_or(Error::NoShadow(model))?;
        let statement = sqlx::query("SELECT views.drop_shadow($1)").bind(model.name()).persistent(false);
        statement.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(shadow)
    }
}
