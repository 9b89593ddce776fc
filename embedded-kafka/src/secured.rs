//! TLS and SASL, with a certificate authority of the cluster's own: what a client can be tested against.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand::Rng;

use crate::error::Error;
use crate::layout::Layout;
use crate::libraries::end_of;

const USERNAME: &str = "coulomb";
const PASSWORD_FILE: &str = "password";
const OUTPUT_BYTES_MAX: usize = 2_000;
const DAYS: &str = "365";

/// How clients come in by TLS and SASL.
#[derive(Clone, Debug)]
pub struct Secured {
    /// TLS, where the server asks for a certificate: [`Secured::client_certificate`].
    pub tls_brokers: String,
    /// SASL without TLS.
    pub sasl_brokers: String,
    /// SASL over TLS; no certificate is asked for.
    pub sasl_tls_brokers: String,
    /// PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 know this user.
    pub username: String,
    pub password: String,
    /// What signed the servers' certificate; PEM.
    pub ca: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
    server: PathBuf,
}

impl Secured {
    /// Finds the keys and certificates in the cluster's directory, or makes them.
    pub(crate) fn prepare(layout: &Layout) -> Result<Self, Error> {
        let directory = layout.home.join("tls");
        if !directory.exists() {
            let unfinished = layout.home.join("tls.unfinished");
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished).map_err(Error::file("can't remove", &unfinished))?;
            }
            std::fs::create_dir(&unfinished).map_err(Error::file("can't create", &unfinished))?;
            make(&unfinished)?;
            std::fs::rename(&unfinished, &directory).map_err(Error::file("can't rename to", &directory))?;
        }
        let file = directory.join(PASSWORD_FILE);
        let password = std::fs::read_to_string(&file).map_err(Error::file("can't read", &file))?;
        Ok(Self {
            tls_brokers: layout.addresses(|ports| ports.tls),
            sasl_brokers: layout.addresses(|ports| ports.sasl),
            sasl_tls_brokers: layout.addresses(|ports| ports.sasl_tls),
            username: USERNAME.to_owned(),
            password,
            ca: directory.join("ca.pem"),
            client_certificate: directory.join("client.pem"),
            client_key: directory.join("client.key"),
            server: directory.join("server-chain.pem"),
        })
    }

    /// For `server.properties`.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let Self { username, password, .. } = self;
        let mut all = vec![];
        for listener in ["tls", "sasltls"] {
            let asks = if listener == "tls" { "required" } else { "none" };
            all.extend([
                (format!("listener.name.{listener}.ssl.keystore.type"), "PEM".to_owned()),
                (format!("listener.name.{listener}.ssl.keystore.location"), self.server.display().to_string()),
                (format!("listener.name.{listener}.ssl.truststore.type"), "PEM".to_owned()),
                (format!("listener.name.{listener}.ssl.truststore.location"), self.ca.display().to_string()),
                (format!("listener.name.{listener}.ssl.client.auth"), asks.to_owned()),
            ]);
        }
        const MODULES: &str = "org.apache.kafka.common.security";
        for listener in ["sasl", "sasltls"] {
            all.push((
                format!("listener.name.{listener}.sasl.enabled.mechanisms"),
                "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
            ));
            all.push((
                format!("listener.name.{listener}.plain.sasl.jaas.config"),
                format!("{MODULES}.plain.PlainLoginModule required user_{username}=\"{password}\";"),
            ));
            for mechanism in ["scram-sha-256", "scram-sha-512"] {
                all.push((
                    format!("listener.name.{listener}.{mechanism}.sasl.jaas.config"),
                    format!("{MODULES}.scram.ScramLoginModule required;"),
                ));
            }
        }
        all
    }

    /// For the tool that formats a node's storage: SCRAM's users are in the cluster's metadata.
    pub(crate) fn format_arguments(&self) -> Vec<String> {
        let Self { username, password, .. } = self;
        let add = |mechanism: &str| format!("{mechanism}=[name={username},password={password}]");
        let users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(add);
        users.into_iter().flat_map(|user| ["--add-scram".to_owned(), user]).collect()
    }
}

fn make(directory: &Path) -> Result<(), Error> {
    let password: String = rand::rng().random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
    write(&directory.join(PASSWORD_FILE), password.as_bytes())?;
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let mut ca =
        vec!["req", "-x509", "-days", DAYS, "-subj", "/CN=Coulomb test CA", "-keyout", "ca.key", "-out", "ca.pem"];
    ca.extend(key);
    openssl(directory, &ca)?;
    write(
        &directory.join("server.ext"),
        b"subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n",
    )?;
    write(&directory.join("client.ext"), b"extendedKeyUsage=clientAuth\n")?;
    for (name, subject) in [("server", "/CN=localhost"), ("client", "/CN=coulomb")] {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key_file, request, certificate, extensions) = (file("key"), file("csr"), file("pem"), file("ext"));
        let mut ask = vec!["req", "-subj", subject, "-keyout", &key_file, "-out", &request];
        ask.extend(key);
        openssl(directory, &ask)?;
        let sign = ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let into = ["-days", DAYS, "-extfile", &extensions, "-out", &certificate];
        openssl(directory, &[sign.as_slice(), &into].concat())?;
    }
    // Kafka reads key and certificate from one file.
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(Error::file("can't read", &path))
    };
    write(&directory.join("server-chain.pem"), &[read("server.key")?, read("server.pem")?].concat())
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    std::fs::write(path, content).map_err(Error::file("can't write", path))
}

fn openssl(directory: &Path, arguments: &[&str]) -> Result<(), Error> {
    let output = Command::new("openssl").args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.map_err(|source| Error::Spawn { program: "openssl", source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program { program: "openssl", output: end_of(&output.stderr, OUTPUT_BYTES_MAX) })
}
