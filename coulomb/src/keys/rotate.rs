use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use application::auth::SigningError;
use application::vault::{self, Vault, rotation};
use chrono::Utc;
use domain::id::DriverId;

use crate::command_database::CommandDatabase;
use crate::master_key::{self, MasterKey};
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Args {
    /// Wrap all keys by the master key in this file (32 bytes as hex or base64), in one transaction
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,

    /// Sign access tokens with a new key. Tokens signed before stay good until they expire, within 15 minutes
    #[arg(long)]
    signing: bool,

    /// Seal what comes of this driver under a new key. What was sealed before is read with the old one
    #[arg(long, value_name = "DRIVER-ID")]
    person: Option<DriverId>,
}

pub async fn run(settings: &Settings, database: &CommandDatabase, args: &Args) -> anyhow::Result<()> {
    if let Some(file) = &args.master_key_file {
        return master(settings, database, file).await;
    }
    if let Some(driver_id) = args.person {
        return person(database, driver_id).await;
    }
    signing(settings, database).await
}

async fn master(settings: &Settings, database: &CommandDatabase, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("can't read {}: make a key with `openssl rand -base64 32 > {0}`", file.display()))?;
    let new: MasterKey =
        text.trim().parse().map_err(anyhow::Error::msg).with_context(|| format!("{}", file.display()))?;
    let old = master_key::of_command(settings)?;
    // One connection is left, and there may be no other.
    let mut connection = database.pool().acquire().await.context("the database")?;
    let screen = std::io::stderr().is_terminal();
    let progress = |done: u64, all: u64| {
        if screen {
            eprint!("\r{done} of {all} keys wrapped anew");
        }
    };
    let wrapping = |key: &MasterKey| vault::MasterKey::new(*key.bytes());
    let rotated = rotation::rotate_master(&mut connection, &wrapping(&old), &wrapping(&new), progress).await;
    if screen {
        eprintln!();
    }
    let rotated = rotated?;
    connection.close().await.context("the database")?;
    match rotated.before {
        true => say!("The database was under the new master key before."),
        false => say!(
            "{} keys of persons and {} signing keys are under the new master key.",
            rotated.vault_keys,
            rotated.signing_keys
        ),
    }
    if settings.master_key.is_none() && settings.database_url.is_none() {
        let place = settings.data_dir.join("master-key");
        new.replace(&place).with_context(|| {
            format!("the database is under the new key, but it is not in {}: do this again", place.display())
        })?;
        say!("It is in {} now. Backups from before need the old one.", place.display());
    } else {
        say!(
            "Start every process with it: COULOMB_MASTER_KEY=\"$(cat {})\". Backups from before need the old one.",
            file.display()
        );
    }
    Ok(())
}

async fn signing(settings: &Settings, database: &CommandDatabase) -> anyhow::Result<()> {
    let vault = Vault::new(database.pool().clone(), vault::MasterKey::new(*master_key::of_command(settings)?.bytes()));
    vault.check_master_key().await.context("the master key is another one than that of this database")?;
    let made: Result<(), SigningError> = rotation::rotate_signing(database.pool(), vault.master(), Utc::now()).await;
    made.context("the new key can't be stored; nothing was changed")?;
    say!("Access tokens are signed with a new key within a minute. Those signed before are good until they expire.");
    Ok(())
}

async fn person(database: &CommandDatabase, driver_id: DriverId) -> anyhow::Result<()> {
    if !rotation::rotate_person(database.pool(), driver_id).await.context("nothing was changed")? {
        bail!("nothing is sealed for a driver {driver_id}: there is no key to change");
    }
    say!("What is sealed for {driver_id} is under a new key within a minute; what was stays readable.");
    Ok(())
}
