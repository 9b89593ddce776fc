//! Making a cluster the first time, and reading what an existing one needs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::Rng;

use crate::directory::Directory;
use crate::error::Error;
use crate::installation::Installation;

/// The one role of a private server, and its owner's database.
pub(crate) const ROLE: &str = "coulomb";

/// The binaries for the cluster in `directory`, which is made when it is not there.
pub(crate) fn prepare(directory: &Directory, durable: bool) -> Result<(Installation, String), Error> {
    let data = directory.data();
    let Some(major) = major_of(&data)? else {
        let installation = Installation::find(None)?;
        let password = initialise(&installation, directory, durable)?;
        return Ok((installation, password));
    };
    let installation = match Installation::find(Some(major)) {
        Err(Error::Missing) => return Err(Error::OtherMajor { path: data, data: major }),
        found => found?,
    };
    let path = directory.password();
    let password = std::fs::read_to_string(&path).map_err(|_| Error::PasswordMissing { path })?;
    Ok((installation, password.trim().to_owned()))
}

/// The version that wrote a cluster; none where there is no cluster.
fn major_of(data: &Path) -> Result<Option<u32>, Error> {
    let path = data.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("can't read", &path)(error)),
    }
}

/// Runs initdb beside the final place and renames, so that a killed first start leaves nothing half-made.
fn initialise(installation: &Installation, directory: &Directory, durable: bool) -> Result<String, Error> {
    let account = directory.account;
    let unfinished = directory.unfinished();
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(Error::file("can't remove", &unfinished))?;
    }
    let password = random_password();
    write_secret(&directory.password(), &password)?;
    // initdb runs as the account, which can't read our file; its copy lives until initdb has ended.
    let copy = directory.socket().join("password");
    write_secret(&copy, &password)?;
    account.own(&copy)?;
    account.make_own(&unfinished)?;

    let mut command = account.command(installation.program("initdb"));
    command.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(&copy).args([
        "--username",
        ROLE,
        "--encoding=UTF8",
        "--locale=C",
        "--auth=scram-sha-256",
        "--no-instructions",
    ]);
    if !durable {
        command.arg("--no-sync");
    }
    let ran = command.output();
    std::fs::remove_file(&copy).map_err(Error::file("can't remove", &copy))?;
    let output = ran.map_err(|source| Error::Spawn { program: "initdb", source })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Program { program: "initdb", output: text });
    }
    let data = directory.data();
    std::fs::rename(&unfinished, &data).map_err(Error::file("can't rename to", &data))?;
    Ok(password)
}

/// 256 bits, in digits that need no escape in a URL.
pub(crate) fn random_password() -> String {
    rand::rng().random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn write_secret(path: &Path, secret: &str) -> Result<(), Error> {
    // Made anew, so that the mode holds and no older reader has it open.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::file("can't replace", path)(error));
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{secret}").and_then(|()| file.sync_all()))
        .map_err(Error::file("can't write", path))
}
