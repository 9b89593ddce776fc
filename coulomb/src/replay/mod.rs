//! `coulomb replay`: a part of the history, happening again in a database of its own, for whoever wants to watch it.

mod feed;
mod pace;
mod range;
mod scratch;
mod screen;
mod stage;

use std::time::Duration;

use service_host::Shutdown;
use service_host::config::HttpArgs;

use crate::command_database::CommandDatabase;
use crate::listen::{self, bind};
use crate::master_key;
use crate::settings::Settings;
use pace::Speed;
use range::{Place, Range};
use scratch::Scratch;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
It works in a database of its own beside the original, which it only reads: all events up to --from are put into it at once,
then those of the range, in the time that they took divided by the speed. Read models and sockets are those of the
program; there are no chargers' sockets and no deadlines, and every command is refused. Operators log in as they do in the
original. At the end, or after Ctrl-C, the database is dropped; --keep leaves it, with the keys of persons that it holds, so
that it must be dropped by hand when one of them is erased.

Examples:
  coulomb replay --from 2026-03-01T08:00:00Z --to 2026-03-01T09:00:00Z --speed 60x
  coulomb replay --from 48000 --to 48211 --speed 1x --http 8090
  coulomb replay --from 1 --speed max --paused         Enter begins, and ends")]
pub struct Args {
    /// Where it begins: a position of the log, or a time
    #[arg(long, value_name = "POSITION|TIME")]
    from: Place,

    /// Where it ends, that included; the end of the log unless given
    #[arg(long, value_name = "POSITION|TIME")]
    to: Option<Place>,

    /// How much faster than it happened, or max
    #[arg(long, value_name = "NUMBERx|max", default_value = "10x")]
    speed: Speed,

    /// Wait for Enter before the range begins, and again when it has ended
    #[arg(long)]
    paused: bool,

    /// Leave the database where it is, and say its name
    #[arg(long)]
    keep: bool,

    #[command(flatten)]
    http: HttpArgs,
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals(Duration::ZERO)?;
    let free = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let listener = bind(args.http.http.unwrap_or(free), listen::HTTP).await?;
    let key = master_key::of_command(settings)?;
    let database = CommandDatabase::open(settings).await?;
    let ran = async {
        let range = Range::find(&database, args.from, args.to).await?;
        let scratch = Scratch::create(&database.pool().of_now(), args.keep).await?;
        let source = &database.pool().of_now();
        let stage = stage::Stage { settings, args: &args, key, source, range };
        let ran = stage.play(&scratch, listener, &shutdown).await;
        let ended = scratch.end(ran.is_ok()).await;
        ran.and(ended)
    };
    let ran = ran.await;
    let closed = database.close().await;
    ran.and(closed)
}
