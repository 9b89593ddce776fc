//! Large objects: written as they are made, read back as files.

use std::fs::File;
use std::io::Write;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetResultPayload, ObjectStoreExt, WriteMultipart};
use schema::digest::hex;
use sha2::{Digest, Sha256};

use super::{Error, Location};

/// What is larger is sent in pieces of this size, so many at a time.
pub(super) const PIECE_BYTES: usize = 16 * 1024 * 1024;
const PIECES_UNDER_WAY_MAX: usize = 4;

/// An object that is being written. Dropped, it was never there.
pub struct Upload {
    pieces: WriteMultipart,
    location: Location,
    name: String,
    hash: Sha256,
    bytes: u64,
}

impl Upload {
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let bytes = bytes.into();
        self.hash.update(&bytes);
        self.bytes += bytes.len() as u64;
        for start in (0..bytes.len()).step_by(PIECE_BYTES) {
            let free = self.pieces.wait_for_capacity(PIECES_UNDER_WAY_MAX).await;
            free.map_err(|error| self.location.error(&self.name, error))?;
            self.pieces.put(bytes.slice(start..bytes.len().min(start + PIECE_BYTES)));
        }
        Ok(())
    }

    /// It is in its place, and on the disk, when this returns: its bytes, and their SHA-256.
    pub async fn finish(self) -> Result<(u64, String), Error> {
        let Self { pieces, location, name, hash, bytes } = self;
        pieces.finish().await.map_err(|error| location.error(&name, error))?;
        if location.local {
            location.sync(&location.path(&name)).await?;
        }
        Ok((bytes, hex(&hash.finalize())))
    }

    pub async fn abort(self) -> Result<(), Error> {
        let Self { pieces, location, name, .. } = self;
        pieces.abort().await.map_err(|error| location.error(&name, error))
    }
}

/// An object as a file.
#[derive(Debug)]
pub struct Fetched {
    pub file: File,
    pub sha256: String,
    pub bytes: u64,
}

impl Location {
    /// Begins an object that is written as it is made.
    pub async fn upload(&self, name: &str) -> Result<Upload, Error> {
        let upload = self.store.put_multipart(&self.path(name)).await.map_err(|error| self.error(name, error))?;
        Ok(Upload {
            pieces: WriteMultipart::new_with_chunk_size(upload, PIECE_BYTES),
            location: self.clone(),
            name: name.to_owned(),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// All of an object as a file that can be read at random, and its hash: one of another machine as a copy that goes when
    /// it is closed.
    pub async fn fetch(&self, name: &str) -> Result<Fetched, Error> {
        let url = self.url_of(name);
        let disk = |source| Error::Disk { path: format!("the copy of {url}"), source };
        let mut got = self.store.get(&self.path(name)).await.map_err(|error| self.error(name, error))?;
        let own = match std::mem::replace(&mut got.payload, GetResultPayload::Stream(stream::empty().boxed())) {
            GetResultPayload::File(file, _) => Some(file),
            GetResultPayload::Stream(stream) => {
                got.payload = GetResultPayload::Stream(stream);
                None
            }
        };
        if let Some(mut file) = own {
            let hashed = tokio::task::spawn_blocking(move || {
                let mut hash = Sha256::new();
                let bytes = std::io::copy(&mut file, &mut hash)?;
                Ok(Fetched { file, sha256: hex(&hash.finalize()), bytes })
            });
            return hashed.await.map_err(std::io::Error::other).and_then(|fetched| fetched).map_err(disk);
        }
        let mut copy = tempfile::tempfile().map_err(disk)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut stream = got.into_stream();
        while let Some(piece) = stream.try_next().await.map_err(|error| self.error(name, error))? {
            hash.update(&piece);
            bytes += piece.len() as u64;
            copy.write_all(&piece).map_err(disk)?;
        }
        Ok(Fetched { file: copy, sha256: hex(&hash.finalize()), bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_uploaded_is_there_when_it_is_finished() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::parse(folder.path().to_str().expect("a name")).expect("a place");
        let mut upload = location.upload("part").await.expect("begun");
        upload.write(vec![1; PIECE_BYTES + 1]).await.expect("written");
        upload.write(vec![2; 3]).await.expect("written");
        assert!(location.list().await.expect("a list").is_empty(), "nothing half is seen");
        let (bytes, sha256) = upload.finish().await.expect("finished");
        let fetched = location.fetch("part").await.expect("fetched");
        assert_eq!((fetched.bytes, &fetched.sha256), (bytes, &sha256));
        assert_eq!(bytes, PIECE_BYTES as u64 + 4);

        let mut killed = location.upload("killed").await.expect("begun");
        killed.write(vec![1; PIECE_BYTES]).await.expect("written");
        std::mem::forget(killed);
        location.remove_remains().await.expect("removed");
        let files: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }
}
