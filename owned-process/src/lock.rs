//! One owner at a time for a directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::Error;

/// Held as long as the value lives; the kernel releases it however the process ends.
#[derive(Debug)]
pub struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// Takes the lock, the file `lock` of the directory, and writes our pid into it, for the message that the next one gets.
    ///
    /// # Errors
    /// [`Error::InUse`], or when the file can't be made.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::file("can't open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The pid is a courtesy: an owner that has not written it yet is still the owner.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::InUse { path: directory.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(Error::file("can't lock", &path)(source)),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(Error::file("can't write", &path))?;
        Ok(Self { _file: file })
    }

    /// Whether somebody holds it.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn is_taken(directory: &Path) -> Result<bool, Error> {
        let path = directory.join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(Error::file("can't open", &path)(source)),
        };
        // Shared, so that two who look at a time don't take each other for the owner.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(Error::file("can't lock", &path)(source)),
        }
    }
}
