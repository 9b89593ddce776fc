//! Statements that are not kept on the server.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgStatement, Postgres};
use sqlx::{Database, Execute};

/// A statement without a name: the next transaction may run on another server connection, which would not know it.
pub(crate) struct Unkept<E>(pub E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unkept<E> {
    fn sql(&self) -> &'q str {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement<'q>> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<<Postgres as Database>::Arguments<'q>>, BoxDynError> {
        let arguments: Option<PgArguments> = self.0.take_arguments()?;
        Ok(arguments)
    }

    fn persistent(&self) -> bool {
        false
    }
}
