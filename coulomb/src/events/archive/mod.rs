//! `coulomb events archive`: whole ranges of a retention class move from the log to object storage.
//!
//! A range is written, read back and compared with the log and its digests, written down in `log_archives`, and only then,
//! where asked, taken out of the log. Killed at any moment, the next run goes on.

#[cfg(feature = "archive")]
mod beside;
#[cfg(feature = "archive")]
mod detach;
#[cfg(feature = "archive")]
mod job;
mod list;
#[cfg(feature = "archive")]
mod log;
#[cfg(feature = "archive")]
mod needs;
#[cfg(feature = "archive")]
mod run;
#[cfg(feature = "archive")]
mod turn;
#[cfg(feature = "archive")]
mod verify;
#[cfg(feature = "archive")]
mod write;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use domain::envelope::Retention;

use super::moment::Moment;
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Events are stored by retention class: telemetry (meter values, repeated statuses, connections), operational, ledger (money);
each in ranges of positions. A range is taken when it lies wholly below the end of the log, all of it was recorded before
--before, its digests are sealed, and every consumer has read it. It is written as Parquet with the columns of the log,
read back and compared with the log row by row, and with the digests that were sealed. It stays in the log until it is
detached; then rebuilds and looks into the past read it from the archive.

It may run beside Coulomb, by a timer, and be killed at any moment: the next run goes on. Each writing of a range has a folder of
its own, and nothing in the storage is ever overwritten or removed: `list` names folders that are left over. Detaching is refused while an open
session, a charger or another live thing could be loaded only by the events that go: --save-states stores their states.

Where to: a folder, file:///..., s3://bucket/prefix, gs://bucket/prefix, az://container/prefix. Credentials come from the
provider's own variables (AWS_..., GOOGLE_..., AZURE_...), never from the URL. docs/archive.md says more.

Examples:
  coulomb events archive --class telemetry --before 90d --to s3://archive/coulomb
  coulomb events archive --class telemetry --before 90d --to s3://archive/coulomb --detach --save-states
  coulomb events archive list
  coulomb events archive verify --class telemetry"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    write: WriteArgs,
}

#[derive(clap::Args, Clone, Debug)]
struct WriteArgs {
    /// The retention class
    #[arg(long, value_parser = classes(), required = true)]
    class: Option<Retention>,

    /// What was recorded before this time: 90d ago, 2026-03-01, 2026-03-01T10:00:00Z
    #[arg(long, value_name = "TIME", required = true)]
    before: Option<Moment>,

    /// Where to: a folder, or a URL such as s3://bucket/prefix
    #[arg(long, value_name = "URL", required = true)]
    to: Option<String>,

    /// Take out of the log what is archived and verified
    #[arg(long)]
    detach: bool,

    /// With --detach: store the states of open streams that have none
    #[arg(long, requires = "detach")]
    save_states: bool,

    /// JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Command {
    /// What is archived, and what of it the log still has
    List(ListArgs),
    /// Read archives back: each part against its hash, the rows against the log and the digests that were sealed
    Verify(VerifyArgs),
    /// Take out of the log what is archived, after reading it back once more
    Detach(DetachArgs),
}

#[derive(clap::Args, Clone, Debug)]
struct ListArgs {
    /// Of this class; of all unless given
    #[arg(long, value_parser = classes())]
    class: Option<Retention>,

    /// One JSON object for each range
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Clone, Debug)]
struct VerifyArgs {
    /// Of this class; of all unless given
    #[arg(long, value_parser = classes())]
    class: Option<Retention>,

    /// JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Clone, Debug)]
struct DetachArgs {
    /// The retention class
    #[arg(long, value_parser = classes())]
    class: Retention,

    /// Store the states of open streams that have none
    #[arg(long)]
    save_states: bool,

    /// JSON lines
    #[arg(long)]
    json: bool,
}

fn classes() -> impl TypedValueParser<Value = Retention> {
    PossibleValuesParser::new(Retention::ALL.map(Retention::as_str)).map(|name| {
        let class = Retention::ALL.into_iter().find(|class| class.as_str() == name);
        class.expect("only names of classes are possible")
    })
}

impl Args {
    /// Whether this program can do what is asked for.
    pub fn check_built(&self) -> anyhow::Result<()> {
        if !cfg!(feature = "archive") && !matches!(self.command, Some(Command::List(_))) {
            bail!(
                "this program was built without archives: build it with `cargo build --release --features archive`, or use the \
                 Docker image, which has them"
            );
        }
        Ok(())
    }
}

/// After [`Args::check_built`].
pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    args.check_built()?;
    match args.command {
        Some(Command::List(args)) => list::run(database, args).await,
        #[cfg(feature = "archive")]
        command => {
            let mut interruptions = crate::interrupted::Interruptions::new()?;
            tokio::select! {
                ran = run::run(database, command, args.write) => ran,
                () = interruptions.next() => {
                    bail!("stopped: nothing half counts. Run it again to go on")
                }
            }
        }
        #[cfg(not(feature = "archive"))]
        Some(Command::Verify(_) | Command::Detach(_)) | None => Ok(()),
    }
}
