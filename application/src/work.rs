//! Units of work: decided on the newest state, committed in one append, and again if somebody else was faster.

use std::sync::Arc;

use domain::envelope::Envelope;
use event_store::{Appended, Session};

use crate::{Application, Error};

/// What is decided. It may be run several times, and has no effect but on the session.
pub(crate) trait Work: Send + Sync + 'static {
    type Output: Send;

    fn run(&self, session: &mut Session) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

impl From<event_store::session::Error> for Error {
    fn from(error: event_store::session::Error) -> Self {
        use event_store::session::Error as Session;
        match error {
            Session::Load(error) => error.into(),
            Session::Append(error) => error.into(),
            Session::Busy => Self::Busy,
        }
    }
}

impl Application {
    pub(crate) async fn work<W: Work>(
        &self,
        envelope: &Arc<Envelope>,
        work: Arc<W>,
    ) -> Result<(W::Output, Option<Appended>), Error> {
        self.store()
            .run(envelope, move |session| {
                let work = Arc::clone(&work);
                Box::pin(async move { work.run(session).await })
            })
            .await
    }
}

/// A decision of one aggregate: the refusal is the command's.
pub(crate) async fn decide<A: domain::Decide + 'static>(
    session: &mut Session,
    id: impl Into<uuid::Uuid>,
    partition_key: impl Into<uuid::Uuid>,
    command: A::Command,
) -> Result<Vec<A::Event>, Error> {
    Ok(session.decide::<A>(id, partition_key, command).await??)
}
