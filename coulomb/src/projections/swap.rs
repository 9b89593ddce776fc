//! `coulomb projections swap`.

use projection_service::rebuild::Exchanged;

use super::model::Named;
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The build that has joined becomes the live one, in one transaction and by an event of the log. Rows whose content that
changes have the position of the event, so that whoever follows them is told; nobody is told of the others. The build that
served is kept current: `coulomb projections rollback` lets it serve again, until `coulomb projections drop`.")]
pub struct Args {
    #[command(flatten)]
    named: Named,

    /// Even if keys of the new build are parked: their rows stand still
    #[arg(long)]
    with_parked: bool,

    /// A JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let exchanged = database.rebuilder().await?.swap(args.named.model, args.with_parked).await?;
    show(&exchanged, args.json)?;
    if !args.json {
        let name = exchanged.model;
        say!("\n  coulomb projections rollback {name}    lets build {} serve again", exchanged.from);
        say!("  coulomb projections drop {name}        throws it away");
    }
    Ok(())
}

pub fn show(exchanged: &Exchanged, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string(exchanged)?);
        return Ok(());
    }
    let Exchanged { model, from, to, position, rows } = exchanged;
    let rows = rows.map_or_else(|| "the rows that differed".to_owned(), |rows| format!("{rows} rows"));
    say!("Build {to} of {model} serves instead of build {from}, from position {position} on; {rows} changed.");
    Ok(())
}
