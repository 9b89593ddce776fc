//! Where archives are: a folder of an object store, named by a URL.
//!
//! Credentials are never part of the URL. They come from the variables and places that each provider's own tools use.

mod provider;
mod transfer;

use std::path::{self, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use url::Url;

pub use transfer::{Fetched, Upload};

use transfer::PIECE_BYTES;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{given:?} is no place for an archive: give a folder, or a URL such as file:///var/archive, s3://bucket/prefix, \
         gs://bucket/prefix or az://container/prefix"
    )]
    Unknown { given: String },
    #[error(
        "what is given as the place for an archive is no URL that can be understood; it is not repeated here, since a secret may be \
         in it. Give a folder, or a URL such as file:///var/archive, s3://bucket/prefix, gs://bucket/prefix or \
         az://container/prefix"
    )]
    NoUrl,
    #[error("{url} has a user, a password or parameters in it: leave them out. {variables}")]
    Credentials { url: String, variables: &'static str },
    #[error("{url} can't be used. {variables}")]
    Configuration { url: String, variables: &'static str, source: Box<object_store::Error> },
    #[error("{url} is not there")]
    Missing { url: String },
    #[error("{url} can't be read or written")]
    Store { url: String, source: Box<object_store::Error> },
    #[error("{path} can't be written to the disk")]
    Disk { path: String, source: std::io::Error },
}

const S3: &str = "Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from the role of the machine or pod; \
                  AWS_REGION says where; AWS_ENDPOINT_URL names another S3";
const GCS: &str = "Credentials come from GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT (paths of files), or from \
                   the machine's service account";
const AZURE: &str = "AZURE_STORAGE_ACCOUNT_NAME says whose container it is; credentials come from \
                     AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID with AZURE_CLIENT_SECRET and \
                     AZURE_TENANT_ID";

/// A folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// Without a slash at its end.
    url: String,
    /// Whether it is of this machine: then what is written is on the disk when it is said to be.
    local: bool,
}

impl Location {
    /// A URL, or a folder of this machine. Nothing is asked of the provider, and no folder is made.
    ///
    /// # Errors
    /// When it is of no provider that is known, or the provider's settings can't be used.
    pub fn parse(given: &str) -> Result<Self, Error> {
        let unknown = || Error::Unknown { given: given.to_owned() };
        let url = if given.contains("://") {
            Url::parse(given).map_err(|_| Error::NoUrl)?
        } else if given.is_empty() {
            return Err(unknown());
        } else {
            let folder = path::absolute(given).map_err(|_| unknown())?;
            Url::from_directory_path(folder).map_err(|()| unknown())?
        };
        let variables = match url.scheme() {
            "file" => Some(""),
            "s3" | "s3a" => Some(S3),
            "gs" => Some(GCS),
            "az" | "abfs" | "abfss" => Some(AZURE),
            _ => None,
        };
        let plain = Self::plain(&url);
        // In an Azure URL the container may stand where the user does elsewhere.
        let user = !url.username().is_empty() && variables != Some(AZURE);
        if user || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::Credentials { url: plain, variables: variables.unwrap_or_default() });
        }
        let variables = variables.ok_or_else(|| Error::Unknown { given: format!("{}:", url.scheme()) })?;
        let unusable = |source| Error::Configuration { url: plain.clone(), variables, source: Box::new(source) };
        let local = url.scheme() == "file";
        let folder = if local {
            let folder = url.to_file_path().map_err(|()| unknown())?;
            Path::from_absolute_path(folder).map_err(|error| unusable(error.into()))?
        } else {
            if url.host_str().is_none_or(str::is_empty) {
                return Err(unknown());
            }
            Path::from_url_path(url.path()).map_err(|error| unusable(error.into()))?
        };
        Ok(Self { store: provider::store(&url).map_err(unusable)?, folder, url: plain, local })
    }

    /// The URL, without what might be secret.
    fn plain(url: &Url) -> String {
        let mut plain = url.clone();
        plain.set_query(None);
        plain.set_fragment(None);
        if url.password().is_some() || !matches!(url.scheme(), "az" | "abfs" | "abfss") {
            let _ = plain.set_password(None);
            let _ = plain.set_username("");
        }
        plain.as_str().trim_end_matches('/').to_owned()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A folder below this one.
    #[must_use]
    pub fn folder(&self, name: &str) -> Self {
        let folder = name.split('/').fold(self.folder.clone(), |folder, part| folder.join(part));
        Self { store: Arc::clone(&self.store), folder, url: format!("{}/{name}", self.url), local: self.local }
    }

    fn path(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }

    fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn error(&self, name: &str, error: object_store::Error) -> Error {
        let url = self.url_of(name);
        match error {
            object_store::Error::NotFound { .. } => Error::Missing { url },
            other => Error::Store { url, source: Box::new(other) },
        }
    }

    /// All of an object.
    pub async fn get(&self, name: &str) -> Result<Bytes, Error> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        read.await.map_err(|error| self.error(name, error))
    }

    /// A part of an object's bytes.
    pub async fn get_range(&self, name: &str, range: std::ops::Range<u64>) -> Result<Bytes, Error> {
        self.store.get_range(&self.path(name), range).await.map_err(|error| self.error(name, error))
    }

    /// Writes an object whole, or not at all. It is in its place, and on the disk, when this returns.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        if bytes.len() > PIECE_BYTES {
            let mut upload = self.upload(name).await?;
            upload.write(bytes).await?;
            return upload.finish().await.map(|_| ());
        }
        let path = self.path(name);
        self.store.put(&path, bytes.into()).await.map_err(|error| self.error(name, error))?;
        if self.local { self.sync(&path).await } else { Ok(()) }
    }

    /// Writes a small object that must not be there yet, whole or not at all. False: it is there.
    pub async fn put_new(&self, name: &str, bytes: Bytes) -> Result<bool, Error> {
        let path = self.path(name);
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = match self.store.put_opts(&path, bytes.clone().into(), create).await {
            // Of a provider without conditions.
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                match self.store.head(&path).await {
                    Ok(_) => return Ok(false),
                    Err(object_store::Error::NotFound { .. }) => self.store.put(&path, bytes.into()).await,
                    Err(error) => Err(error),
                }
            }
            put => put,
        };
        match put {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
            Err(error) => return Err(self.error(name, error)),
        }
        if self.local {
            self.sync(&path).await?;
        }
        Ok(true)
    }

    /// Removes what interrupted writing of this machine's has left in this folder: bytes of objects that never came to be. Objects
    /// are never removed.
    pub async fn remove_remains(&self) -> Result<(), Error> {
        if !self.local {
            return Ok(());
        }
        let folder = PathBuf::from(format!("/{}", self.folder));
        let url = self.url.clone();
        let removed = tokio::task::spawn_blocking(move || {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                // So the local store names what is not whole.
                let name = entry.file_name();
                let unfinished = name.to_str().and_then(|name| name.rsplit_once('#'));
                if unfinished.is_some_and(|(_, number)| number.parse::<u32>().is_ok()) {
                    std::fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        });
        let removed = removed.await.map_err(std::io::Error::other).and_then(|removed| removed);
        removed.map_err(|source| Error::Disk { path: url, source })
    }

    /// Waits until a file and the names that lead to it are on the disk.
    async fn sync(&self, path: &Path) -> Result<(), Error> {
        let place = PathBuf::from(format!("/{path}"));
        let synced = tokio::task::spawn_blocking(move || {
            let mut at = Some(place.as_path());
            // The folders may be new; those above them were there before.
            for _ in 0..4 {
                let Some(place) = at else { break };
                std::fs::File::open(place)
                    .and_then(|file| file.sync_all())
                    .map_err(|source| Error::Disk { path: place.display().to_string(), source })?;
                at = place.parent();
            }
            Ok(())
        });
        synced.await.map_err(|error| Error::Disk { path: path.to_string(), source: std::io::Error::other(error) })?
    }

    /// Names of the objects in this folder itself.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let listed: Vec<_> = match self.store.list(Some(&self.folder)).try_collect().await {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) => return Ok(vec![]),
            Err(error) => return Err(self.error("", error)),
        };
        let own = listed.iter().filter_map(|object: &object_store::ObjectMeta| {
            let mut parts = object.location.prefix_match(&self.folder)?;
            let name = parts.next()?.as_ref().to_owned();
            parts.next().is_none().then_some(name)
        });
        Ok(own.collect())
    }
}

#[cfg(test)]
mod tests {
    use schema::digest::hex;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn places_are_told_by_their_urls() {
        for (given, url) in [
            ("/var/archive", "file:///var/archive"),
            ("/var/with space/", "file:///var/with%20space"),
            ("file:///var/archive/", "file:///var/archive"),
        ] {
            let location = Location::parse(given).expect(given);
            assert_eq!(location.url(), url);
            assert_eq!(Location::parse(url).expect(url).folder, location.folder, "{url}");
        }
        let folder = Location::parse("/var/archive").expect("a folder").folder("telemetry/1-10");
        assert_eq!(folder.url(), "file:///var/archive/telemetry/1-10");
        assert_eq!(folder.path("manifest.json").as_ref(), "var/archive/telemetry/1-10/manifest.json");
    }

    #[test]
    fn clouds_are_told_by_their_urls() {
        let bucket = Location::parse("s3://bucket/a/prefix/").expect("a bucket");
        assert_eq!((bucket.url(), bucket.folder.as_ref()), ("s3://bucket/a/prefix", "a/prefix"));
        let bucket = Location::parse("abfss://container@account.dfs.core.windows.net/prefix").expect("a container");
        assert_eq!(bucket.url(), "abfss://container@account.dfs.core.windows.net/prefix");
        assert_eq!(bucket.folder.as_ref(), "prefix");
    }

    #[test]
    fn no_secret_is_in_a_url() {
        for given in [
            "s3://key:hidden@bucket/prefix",
            "s3://hidden@bucket",
            "gs://bucket/prefix?token=hidden",
            "https://key:hidden@host/bucket",
            "https://host/bucket?token=hidden",
            "mem://hidden@bucket",
        ] {
            let error = Location::parse(given).expect_err(given);
            assert!(matches!(error, Error::Credentials { .. }), "{error}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
        for given in [
            "s3://key:hidden@bucket:port/",
            "key:hidden@host/bucket://",
            "https//key:hidden@host?x://",
            "s3:///?hidden",
        ] {
            let error = Location::parse(given).expect_err(given);
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }

    #[test]
    fn other_places_are_refused() {
        for given in ["", "https://example.org/archive", "ftp://example.org", "s3:///prefix", "s3://"] {
            assert!(matches!(Location::parse(given), Err(Error::Unknown { .. })), "{given}");
        }
    }

    #[tokio::test]
    async fn what_is_put_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::parse(folder.path().to_str().expect("a name")).expect("a place").folder("a/b");
        assert!(location.list().await.expect("a list").is_empty());
        let large = Bytes::from(vec![7; PIECE_BYTES * 2 + 1]);
        location.put("small", Bytes::from_static(b"bytes")).await.expect("put");
        location.put("large", large.clone()).await.expect("put");
        assert_eq!(location.get("small").await.expect("got"), "bytes");
        assert_eq!(location.get("large").await.expect("got"), large);
        assert_eq!(location.get_range("small", 1..3).await.expect("got"), "yt");
        location.folder("c").put("below", Bytes::new()).await.expect("put");
        let mut names = location.list().await.expect("a list");
        names.sort();
        assert_eq!(names, ["large", "small"]);
        let fetched = location.fetch("small").await.expect("fetched");
        assert_eq!((fetched.bytes, fetched.sha256), (5, hex(&Sha256::digest("bytes"))));
        assert!(!location.put_new("small", Bytes::from_static(b"others")).await.expect("it is there"));
        assert!(location.put_new("new", Bytes::from_static(b"new")).await.expect("it was not there"));
        assert!(matches!(location.get("other").await, Err(Error::Missing { .. })));
    }
}
