//! The one program. Everything it can do is in the library.

use std::process::ExitCode;

/// Events are decoded in one thread and dropped in another: what the system's allocator takes for that was two fifths of a
/// rebuild.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match coulomb::run(service_host::config::parse_or_exit()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(exit) = error.downcast_ref::<coulomb::Exit>() {
                return ExitCode::from(exit.0);
            }
            eprintln!("coulomb: {error:#}");
            ExitCode::FAILURE
        }
    }
}
