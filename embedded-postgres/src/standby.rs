//! A copy of another server that follows it: made by pg_basebackup, kept up to date by streaming replication.

use crate::cluster::{ROLE, random_password, write_secret};
use crate::directory::Directory;
use crate::error::Error;
use crate::installation::Installation;

/// The server that a standby follows.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// On 127.0.0.1.
    pub port: u16,
    /// Of its one role; the standby's is the same.
    pub password: String,
    /// What the primary calls the standby: `application_name` in `pg_stat_replication`, and what may stand in
    /// `synchronous_standby_names`.
    pub name: String,
}

/// Copies the primary into `directory`, whatever cluster was there before.
pub(crate) fn prepare(directory: &Directory, upstream: &Upstream) -> Result<(Installation, String), Error> {
    let installation = Installation::find(None)?;
    let (data, unfinished) = (directory.data(), directory.unfinished());
    for path in [&data, &unfinished] {
        if path.exists() {
            std::fs::remove_dir_all(path).map_err(Error::file("can't remove", path))?;
        }
    }
    // It takes one that is there and empty; the account could not make it.
    directory.account.make_own(&unfinished)?;
    let Upstream { port, password, name } = upstream;
    let mut command = directory.account.command(installation.program("pg_basebackup"));
    command.env("PGPASSWORD", password).arg("--pgdata").arg(&unfinished).args([
        &format!("--dbname=host=127.0.0.1 port={port} user={ROLE} application_name={name} sslmode=disable"),
        "--write-recovery-conf",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-sync",
    ]);
    let output = command.output().map_err(|source| Error::Spawn { program: "pg_basebackup", source })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Program { program: "pg_basebackup", output: text });
    }
    std::fs::rename(&unfinished, &data).map_err(Error::file("can't rename to", &data))?;
    write_secret(&directory.password(), password)?;
    Ok((installation, password.clone()))
}

/// A name that no other standby of this machine has.
pub(crate) fn any_name() -> String {
    format!("standby_{}", &random_password()[..12])
}
