//! The workspace's end-to-end tests: real processes, a real Postgres, real sockets.
//!
//! [`Program`] is the program in a process of its own, [`Network`] what an operator sees of a running one, [`PythonCharger`]
//! and [`RawCharger`] are chargers that are not ours, [`log`], [`topics`] and [`follow`] look at what has become of it all,
//! and [`checks`] say what must be true of it.
//!
//! The binary is built once for each run of the tests (`cargo build --bin coulomb`, same profile and target directory), or
//! is the one that `COULOMB_TEST_BINARY` names. The Python charger's interpreter is `COULOMB_TEST_PYTHON`, or one whose
//! environment is made below the target directory.

pub mod balancer;
pub mod binary;
mod charge;
pub mod checks;
pub mod cluster;
pub mod follow;
pub mod log;
mod network;
pub mod personal;
mod program;
mod python;
mod raw;
mod shared;
pub mod topics;
pub mod watched;

pub use charge::Charge;
pub use network::{MASTER_KEY, Network, Registered, configured, operator, text, until, up};
pub use program::{Program, ProgramBuilder, free_port};
pub use python::{PythonCharger, interpreter, s3_interpreter};
pub use raw::{RawCharger, opening_refused};
pub use shared::{logs, passable, shared};

use std::future::Future;
use std::time::Duration;

/// For what a test waits for. Reached only when it never comes.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Waits until there is something.
///
/// # Panics
/// When it never comes.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    within(what, found).await
}

/// Awaits what comes in any case, unless something is wrong.
///
/// # Panics
/// When it never comes.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(WAIT_MAX, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
