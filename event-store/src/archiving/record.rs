//! What is written down of archives: each time under the lease of the run that does it, so that one that was frozen and wakes
//! changes nothing.

use domain::envelope::Retention;
use pool::Transaction;
use schema::log::Position;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::Detached;
use crate::EventStore;
use crate::leases::{Lease, assert_in};

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("this run was silent for so long that another has begun: run it again to go on")]
    Lost,
    #[error(
        "the log does not have positions {first} and on of that class any more, and their archive stays what it is"
    )]
    NotInLog { first: Position },
    #[error("the database can't be used")]
    Database(#[from] sqlx::Error),
}

/// A folder that a range is written to, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    pub url: String,
    /// What an interrupted run has done, in JSON.
    pub done: Option<String>,
}

/// An archive that was read back.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    pub url: &'a str,
    pub manifest_sha256: &'a [u8],
    pub events: i64,
    pub bytes: i64,
}

/// A folder in which nothing counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub url: String,
    pub first: Position,
    /// Included.
    pub last: Position,
    /// The next run goes on with it.
    pub unfinished: bool,
}

impl EventStore {
    /// # Errors
    /// [`RecordError::Lost`], when another holds the lease or held it since.
    pub async fn assert_lease(&self, lease: &Lease) -> Result<(), RecordError> {
        let transaction = self.database().pool.begin().await?;
        commit(transaction, lease).await
    }

    /// The folder to write a range to: the one below `within` that an interrupted run has begun, else `new`, which must
    /// be nobody's. `again`: always `new`.
    pub async fn begin_folder(
        &self,
        lease: &Lease,
        class: Retention,
        (first, last): (Position, Position),
        (within, new): (&str, &str),
        again: bool,
    ) -> Result<Folder, RecordError> {
        let mut transaction = self.database().pool.begin().await?;
        let statement = sqlx::query(include_str!("begin.sql")).bind(class.code()).bind(first.0);
        let begun = statement.bind(within).bind(again).fetch_optional(&mut *transaction).await?;
        let folder = match begun {
            Some(row) => Folder { url: row.try_get(0)?, done: row.try_get(1)? },
            None => {
                sqlx::query("INSERT INTO log_archive_folders (url, retention, first, last) VALUES ($1, $2, $3, $4)")
                    .bind(new)
                    .bind(class.code())
                    .bind(first.0)
                    .bind(last.0)
                    .execute(&mut *transaction)
                    .await?;
                Folder { url: new.to_owned(), done: None }
            }
        };
        commit(transaction, lease).await?;
        Ok(folder)
    }

    /// Writes down what is done of an unfinished folder.
    pub async fn note_done(&self, lease: &Lease, url: &str, done: &str) -> Result<(), RecordError> {
        let mut transaction = self.database().pool.begin().await?;
        sqlx::query("UPDATE log_archive_folders SET done = $2::json WHERE url = $1 AND state = 'unfinished'")
            .bind(url)
            .bind(done)
            .execute(&mut *transaction)
            .await?;
        commit(transaction, lease).await
    }

    /// Writes down that a range is archived, and that its archive was read back and is right.
    ///
    /// # Errors
    /// [`RecordError::NotInLog`], when the range was taken out or dropped meanwhile: then nothing is changed.
    pub async fn record_archive(
        &self,
        lease: &Lease,
        class: Retention,
        (first, last): (Position, Position),
        archive: &Recorded<'_>,
    ) -> Result<(), RecordError> {
        let mut transaction = self.database().pool.begin().await?;
        let Recorded { url, manifest_sha256, events, bytes } = archive;
        let statement = sqlx::query(include_str!("record.sql")).bind(class.code()).bind(first.0).bind(last.0);
        let statement = statement.bind(*url).bind(*manifest_sha256).bind(*events).bind(*bytes);
        if statement.execute(&mut *transaction).await?.rows_affected() == 0 {
            transaction.rollback().await?;
            return Err(RecordError::NotInLog { first });
        }
        commit(transaction, lease).await
    }

    /// Writes down whether an archive was found to be whole and right, by its manifest's hash. False: it was written anew
    /// meanwhile.
    pub async fn record_verified(
        &self,
        lease: &Lease,
        class: Retention,
        first: Position,
        manifest_sha256: &[u8],
        verified: bool,
    ) -> Result<bool, RecordError> {
        let mut transaction = self.database().pool.begin().await?;
        let statement = sqlx::query(include_str!("verified.sql")).bind(class.code()).bind(first.0);
        let noted = statement.bind(manifest_sha256).bind(verified).execute(&mut *transaction).await?;
        commit(transaction, lease).await?;
        Ok(noted.rows_affected() == 1)
    }

    /// Takes a range out of the log and drops it, if it is archived and verified. Others wait for a tenth of a second at most.
    pub async fn detach_range(
        &self,
        lease: &Lease,
        class: Retention,
        first: Position,
    ) -> Result<Detached, RecordError> {
        let mut transaction = self.database().pool.begin().await?;
        let detach = sqlx::query_scalar("SELECT log_detach_range($1, $2)").bind(class.code()).bind(first.0);
        let tried = async {
            let now: bool = detach.persistent(false).fetch_one(&mut *transaction).await?;
            Ok((now, assert_in(&mut transaction, std::slice::from_ref(lease)).await?))
        };
        match tried.await {
            Ok((now, true)) => {
                transaction.commit().await?;
                Ok(if now { Detached::Now } else { Detached::Before })
            }
            Ok((_, false)) => {
                transaction.rollback().await?;
                Err(RecordError::Lost)
            }
            Err(error) => {
                transaction.rollback().await?;
                let error: sqlx::Error = error;
                let code = error.as_database_error().and_then(|error| error.code());
                // lock_not_available, deadlock_detected
                let busy = code.is_some_and(|code| matches!(code.as_ref(), "55P03" | "40P01"));
                if busy { Ok(Detached::Busy) } else { Err(error.into()) }
            }
        }
    }

    /// Folders of a class in which nothing counts, in the order of positions.
    pub async fn archive_leftovers(&self, class: Retention) -> Result<Vec<Leftover>, sqlx::Error> {
        let statement = sqlx::query(
            "SELECT url, first, last, state = 'unfinished' FROM log_archive_folders
             WHERE retention = $1 AND state <> 'recorded' ORDER BY first, begun_at",
        );
        let of = |row: &PgRow| {
            let (first, last) = (Position(row.try_get(1)?), Position(row.try_get(2)?));
            Ok(Leftover { url: row.try_get(0)?, first, last, unfinished: row.try_get(3)? })
        };
        self.database().fetch_all(statement.bind(class.code())).await?.iter().map(of).collect()
    }
}

async fn commit(mut transaction: Transaction<'_>, lease: &Lease) -> Result<(), RecordError> {
    if !assert_in(&mut transaction, std::slice::from_ref(lease)).await? {
        transaction.rollback().await?;
        return Err(RecordError::Lost);
    }
    transaction.commit().await?;
    Ok(())
}
