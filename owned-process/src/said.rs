//! What processes say, in log files.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::error::Error;

/// A log that is larger is begun anew at a start.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    /// Where the words of the present process begin.
    from: u64,
}

impl Log {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, from: 0 }
    }

    /// Where a new process is to write, after what others said.
    pub(crate) fn open(&mut self) -> Result<File, Error> {
        let path = &self.path;
        if std::fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            std::fs::remove_file(path).map_err(Error::file("can't remove", path))?;
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(Error::file("can't write", path))?;
        self.from = file.metadata().map_err(Error::file("can't read", path))?.len();
        Ok(file)
    }

    /// What the present process has said; nothing where that can't be read.
    pub(crate) fn said(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.from))?;
            let mut said = vec![];
            file.take(LOG_BYTES_MAX).read_to_end(&mut said)?;
            Ok(said)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}
