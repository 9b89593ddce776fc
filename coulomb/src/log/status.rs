//! `coulomb log status`.

use chrono::SecondsFormat;
use event_store::lineage::Began;

use super::said::{Status, word};
use crate::Exit;
use crate::command_database::CommandDatabase;

/// How it ends when nothing is appended.
const NOT_OPEN: u8 = 2;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "It ends with 0 while events are appended, with 2 while they are not.")]
pub struct Args {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: &Args) -> anyhow::Result<()> {
    let store = super::store(database).await?;
    let state = store.lineage_now().await?;
    let (head, generation) = store.head().await?;
    let generations = store.generations().await?;
    let open = state.is_open();
    if args.json {
        let status = Status {
            position: head.0,
            generation: generation.0,
            open,
            state: word(&state),
            detail: state.to_string(),
            lost_positions: state.lost_positions(),
            generations: &generations,
        };
        say!("{}", serde_json::to_string(&status)?);
    } else {
        match open {
            true => say!("The log is at position {head}, of generation {}, and takes events.", generation.0),
            false => say!("The log is at position {head}, of generation {}: {state}.", generation.0),
        }
        for began in &generations {
            say!("{}", line(began));
        }
    }
    if open { Ok(()) } else { Err(Exit(NOT_OPEN).into()) }
}

fn line(began: &Began) -> String {
    let at = began.began_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let number = began.number.0;
    let lost = match (began.lost_from, began.lost_upto) {
        (Some(from), Some(upto)) => format!("positions {from} to {upto} lost"),
        _ => "nothing lost that is known of".to_owned(),
    };
    match (began.reason.as_str(), began.completed_at) {
        ("installed", _) => format!("generation {number}  since {at}  the first"),
        (reason, None) => format!("generation {number}  begun {at}  {reason}, {lost}; not completed"),
        (reason, Some(_)) => {
            format!("generation {number}  since {at}  {reason} at position {}, {lost}", began.shared_upto)
        }
    }
}
