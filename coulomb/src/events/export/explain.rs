//! What to do about an export that could not go on.

use std::io::{self, ErrorKind};
use std::path::Path;

use schema::log::Position;

/// With what to do. `reached`: up to where the export is whole.
pub fn of(error: anyhow::Error, folder: &Path, reached: Option<Position>) -> anyhow::Error {
    let folder = folder.display();
    let rest = match reached {
        Some(position) => {
            format!(
                "Everything up to position {position} is exported and whole, nothing half is left: run the same command again, it goes on there"
            )
        }
        None => "Nothing was changed".to_owned(),
    };
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let database = error.chain().any(|cause| cause.is::<sqlx::Error>());
    let said = match io {
        _ if database => format!("the database was lost. {rest}"),
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
            format!("there is no room left in {folder}: make some. {rest}")
        }
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            format!("{folder} can't be written by this user: change that, or choose another folder with --to. {rest}")
        }
        Some(ErrorKind::NotFound) => format!("{folder} can't be made there: choose another folder with --to. {rest}"),
        Some(ErrorKind::NotADirectory | ErrorKind::AlreadyExists) => {
            format!("{folder} is no folder: choose another with --to. {rest}")
        }
        _ => return error,
    };
    error.context(said)
}
