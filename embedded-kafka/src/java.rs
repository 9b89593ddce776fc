//! The installed Java.

use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;

/// The oldest that Kafka's servers run on.
pub(crate) const JAVA_MIN: u32 = 17;

/// The program, having looked that it is new enough.
pub(crate) fn find() -> Result<PathBuf, Error> {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let program = home.filter(|program| program.exists()).unwrap_or_else(|| "java".into());
    let output = match Command::new(&program).arg("-version").output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::JavaMissing),
        Err(source) => return Err(Error::Spawn { program: "java", source }),
    };
    match major_of(&String::from_utf8_lossy(&output.stderr)) {
        Some(found) if found < JAVA_MIN => Err(Error::JavaTooOld { found }),
        // One that says it in another way may well work.
        Some(_) | None => Ok(program),
    }
}

/// The major version in `openjdk version "17.0.15" 2025-04-15`, `java version "1.8.0_292"` or `openjdk version "21-ea"`.
fn major_of(output: &str) -> Option<u32> {
    let version = output.split('"').nth(1)?;
    let mut numbers = version.split(|char: char| !char.is_ascii_digit()).map(|number| number.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_java_says() {
        let table = [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", Some(17)),
            ("java version \"1.8.0_292\"", Some(8)),
            ("openjdk version \"21-ea\" 2023-09-19", Some(21)),
            ("sh: java", None),
        ];
        for (said, major) in table {
            assert_eq!(major_of(said), major, "{said}");
        }
    }
}
