//! Read models of a log that came to be otherwise than by appends: made all at once, before anybody works on them.

use pool::Connection;
use schema::log::Position;
use schema::view::Model;

use super::guard::Guard;
use super::load::load;
use super::progress::{Progress, Stage};
use super::{Error, Rebuilder, builds};

impl Rebuilder {
    /// Makes the rows of every read model from the log up to `upto`, one read model after the other, and lets them serve.
    /// `begins` is told which one is made, and how far that is.
    ///
    /// Nothing was folded yet, and no worker runs before it has ended: they go on after `upto`. Rows that were released after
    /// they had been parked have the position of their last event, not that of the release. What rows were before `upto` is
    /// not kept.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] among others. Another call goes on with what was made.
    pub async fn fill(&self, upto: Position, begins: impl Fn(Model, &Progress)) -> Result<(), Error> {
        if upto == Position::START {
            return Ok(());
        }
        for model in Model::ALL {
            let progress = Progress::default();
            begins(model, &progress);
            let guard = Guard::take(self, model).await?;
            let made = self.make(model, upto, &progress).await;
            guard.release().await;
            made?;
        }
        let mut connection = self.connect().await?;
        self.let_serve(&mut connection, upto).await
    }

    async fn make(&self, model: Model, upto: Position, progress: &Progress) -> Result<(), Error> {
        let (job, _) = self.begin(model).await?;
        progress.enter(Stage::Loading);
        load(self, &job, upto, progress).await?;
        progress.enter(Stage::Indexing);
        self.index(&job).await
    }

    /// All of them, in one transaction.
    async fn let_serve(&self, connection: &mut Connection<'_>, upto: Position) -> Result<(), Error> {
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT views.end_runs()").persistent(false).execute(&mut *transaction).await?;
        let folded: i64 = sqlx::query_scalar("SELECT max(position) FROM views.progress")
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        if folded > 0 {
            return Err(Error::NotEmpty { position: Position(folded) });
        }
        for sql in [
            include_str!("fill/progress.sql"),
            include_str!("fill/consumed.sql"),
            "DELETE FROM views.consumed WHERE build_id <> 0",
            "DELETE FROM views.build_progress",
            include_str!("fill/eras.sql"),
            "DELETE FROM history.eras WHERE first < (SELECT max(position) FROM views.progress)",
        ] {
            sqlx::query(sql).persistent(false).execute(&mut *transaction).await?;
        }
        for model in Model::ALL {
            let there = builds::read(&mut *transaction, Some(model)).await?;
            let of = |live: bool| there.iter().find(|build| (build.state == builds::BuildState::Live) == live);
            let (Some(empty), Some(made)) = (of(true), of(false)) else { return Err(Error::NoShadow(model)) };
            let name = model.name();
            sqlx::query("SELECT views.exchange($1)").bind(name).persistent(false).execute(&mut *transaction).await?;
            // Nothing in the log made it serve: it is the first.
            let exchanged = sqlx::query("SELECT views.exchange_builds($1, $2, 0)").bind(empty.id).bind(made.id);
            exchanged.persistent(false).execute(&mut *transaction).await?;
            sqlx::query("SELECT views.drop_shadow($1)").bind(name).persistent(false).execute(&mut *transaction).await?;
        }
        let reached: i64 = sqlx::query_scalar("SELECT position FROM views.reached()")
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        if reached != upto.0 {
            return Err(Error::NotEmpty { position: Position(reached) });
        }
        transaction.commit().await?;
        Ok(())
    }
}
