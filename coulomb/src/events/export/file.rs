//! A file that is hashed as it is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::{FileEntry, hex};

const BUFFER_BYTES: usize = 256 * 1024;

pub struct HashedFile {
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    /// Below the export's folder.
    path: PathBuf,
}

impl HashedFile {
    /// At `path` below `root`, with the folders that lead there.
    pub fn create(root: &Path, path: &Path) -> io::Result<Self> {
        let place = root.join(path);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let out = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(place)?);
        Ok(Self { out, hash: Sha256::new(), bytes: 0, path: path.to_owned() })
    }

    /// Waits until it is on the disk.
    pub fn finish(self, table: Option<&str>, day: &str, rows: u64) -> io::Result<FileEntry> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(FileEntry {
            path: self.path.display().to_string(),
            table: table.map(str::to_owned),
            day: day.to_owned(),
            rows,
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
        })
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
