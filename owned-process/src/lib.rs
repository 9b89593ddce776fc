//! Processes that end with their owner, however that ends: what a private Postgres, a Kafka for tests, and each part of a
//! cluster on one machine have in common.
//!
//! ```no_run
//! # async fn example(directory: &std::path::Path) -> Result<(), owned_process::Error> {
//! use std::time::Duration;
//! use owned_process::{Ending, Guardian, OwnedProcess, OwnerLock, Program, Watch};
//!
//! let _lock = OwnerLock::take(directory)?;                    // one owner at a time
//! let ending = Ending::terminate(Duration::from_secs(10));    // SIGTERM, and after 10 s SIGKILL
//! let pids = directory.join("pids");
//! let guardian = Guardian::watch(Watch { name: "example", pids: &pids, ending: &ending, remove: None, user: None })?;
//! let mut server = OwnedProcess::new(pids.join("server"), directory.join("server.log"), ending);
//! server.launch(&Program::new("/usr/bin/server").arg("--foreground")).await?;
//! server.freeze();
//! server.thaw();
//! server.stop().await;
//! guardian.dismiss().await;
//! # Ok(()) }
//! ```
//!
//! How a process is tied to its owner:
//!
//! - It leaves word of itself before it becomes its program, in a file below the directory of pids, and does not become it
//!   if the owner is gone by then (`launch.sh`). A pid goes to other processes with time: the word also says when this one
//!   began, and whose it is.
//! - A [`Guardian`] (`guardian.sh`) waits on a pipe whose other end only the owner holds. When that closes, by whatever end
//!   of the owner, it ends all processes of this owner that left word in its directory. Who lets its guardian go and lives on
//!   waits for the guardian's end before it starts others there.
//! - Where even the guardian was killed, the next [`OwnedProcess::launch`] by the same name ends what was left.
//!
//! So a process that is dropped goes on until its guardian goes: hold it as long as the guardian.

mod descendants;
mod ending;
mod error;
mod guardian;
mod lock;
mod ports;
mod process;
mod program;
mod said;
mod word;

pub use descendants::descendants;
pub use ending::Ending;
pub use error::Error;
pub use guardian::{Guardian, Watch};
pub use lock::OwnerLock;
pub use nix::sys::signal::Signal;
pub use ports::{free_port, free_ports, is_free};
pub use process::{OwnedProcess, State};
pub use program::{Program, User, find};
pub use word::lives;
