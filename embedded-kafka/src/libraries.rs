//! Kafka's jars: fetched once for each user, by Maven.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::error::Error;

/// Of Apache Kafka; `pom.xml` says it too.
pub const VERSION: &str = "4.1.0";
/// A directory of jars to use, instead of fetching any.
pub const LIBS_VARIABLE: &str = "COULOMB_KAFKA_LIBS";

const POM: &str = include_str!("pom.xml");
/// For Maven to fetch about 45 MB, and what it needs itself.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(900);
/// Of Maven's output, in an error.
const OUTPUT_BYTES_MAX: usize = 3_000;

/// The directory of the jars, which are fetched if they are not there.
pub(crate) async fn ensure() -> Result<PathBuf, Error> {
    if let Some(given) = std::env::var_os(LIBS_VARIABLE).filter(|given| !given.is_empty()) {
        let path = PathBuf::from(given);
        return if has_kafka(&path) { Ok(path) } else { Err(Error::NoLibraries { path }) };
    }
    let cache = cache()?;
    let libraries = cache.join(format!("kafka-{VERSION}"));
    if has_kafka(&libraries) {
        return Ok(libraries);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&cache).map_err(Error::file("can't create", &cache))?;
    // One process fetches, others wait for it; the lock goes with the process.
    let path = cache.join("kafka.lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(Error::file("can't open", &path))?;
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = locked.unwrap_or_else(|error| Err(error.into())).map_err(Error::file("can't lock", &path))?;
    if !has_kafka(&libraries) {
        fetch(&cache, &libraries).await?;
    }
    Ok(libraries)
}

fn cache() -> Result<PathBuf, Error> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    Ok(base.ok_or(Error::NoCache)?.join("coulomb"))
}

fn has_kafka(directory: &Path) -> bool {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_client = |name: &std::ffi::OsString| {
        name.to_str().is_some_and(|name| name.starts_with("kafka-clients-") && name.ends_with(".jar"))
    };
    names.into_iter().any(|name| is_client(&name))
}

/// Into a directory beside it, which is renamed when it is whole.
async fn fetch(cache: &Path, libraries: &Path) -> Result<(), Error> {
    // Past the harness of tests, which keeps what is printed: whoever waits wants to know for what.
    let _ = writeln!(
        std::io::stderr(),
        "Fetching Apache Kafka {VERSION} (about 45 MB, only this once) into {} ...",
        libraries.display()
    );
    let unfinished = cache.join(format!("kafka-{VERSION}.unfinished"));
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(Error::file("can't remove", &unfinished))?;
    }
    let work = tempfile::tempdir_in(cache).map_err(Error::file("can't create a directory in", cache))?;
    let pom = work.path().join("pom.xml");
    std::fs::write(&pom, POM).map_err(Error::file("can't write", &pom))?;
    let mut output_directory = std::ffi::OsString::from("-DoutputDirectory=");
    output_directory.push(&unfinished);

    let mut command = tokio::process::Command::new("mvn");
    // Strict: a jar whose checksum is not its own is refused.
    command.args(["--batch-mode", "--strict-checksums", "--no-transfer-progress", "dependency:copy-dependencies"]);
    command.arg(output_directory).current_dir(work.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(FETCH_WAIT_MAX, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::MavenMissing),
        Ok(Err(source)) => return Err(Error::Spawn { program: "mvn", source }),
        Err(_) => return Err(Error::ProgramHangs { program: "mvn", seconds: FETCH_WAIT_MAX.as_secs() }),
    };
    if !output.status.success() || !has_kafka(&unfinished) {
        return Err(Error::Program { program: "mvn", output: end_of(&output.stdout, OUTPUT_BYTES_MAX) });
    }
    std::fs::rename(&unfinished, libraries).map_err(Error::file("can't rename to", libraries))
}

/// The last bytes of what a program said, as text.
pub(crate) fn end_of(output: &[u8], bytes_max: usize) -> String {
    let start = output.len().saturating_sub(bytes_max);
    String::from_utf8_lossy(&output[start..]).trim().to_owned()
}
