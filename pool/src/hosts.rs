//! A URL with several hosts, of which one is the primary.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// As many as one will ever have; each is looked at twice a second.
const HOSTS_MAX: usize = 8;

/// The hosts of one database, in the order of the URL.
#[derive(Clone)]
pub struct Hosts(Vec<PgConnectOptions>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHosts {
    #[error("must begin with postgres://")]
    Scheme,
    #[error("{0} is no host of a database: {1}")]
    Host(String, String),
    #[error("it has more than {HOSTS_MAX} hosts")]
    TooMany,
}

impl Hosts {
    /// What to connect to each with.
    pub fn each(&self) -> &[PgConnectOptions] {
        &self.0
    }

    /// The same for every host.
    #[must_use]
    pub fn map(self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }
}

/// `postgres://user:password@first:5432,second:5432/database`: everything but the hosts is the same for all.
impl FromStr for Hosts {
    type Err = InvalidHosts;

    fn from_str(text: &str) -> Result<Self, InvalidHosts> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidHosts::Scheme)?;
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(InvalidHosts::Scheme);
        }
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let one = |host: &str| {
            let options: Result<PgConnectOptions, _> = format!("{scheme}://{user}{host}{tail}").parse();
            options.map_err(|error| InvalidHosts::Host(host.to_owned(), error.to_string()))
        };
        let hosts: Vec<_> = hosts.split(',').map(one).collect::<Result<_, _>>()?;
        if hosts.len() > HOSTS_MAX { Err(InvalidHosts::TooMany) } else { Ok(Self(hosts)) }
    }
}

/// A host as people know it, without what is secret.
pub(crate) fn name(options: &PgConnectOptions) -> String {
    let host =
        options.get_socket().map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
    format!("{host}:{}", options.get_port())
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_host_or_several() {
        let hosts = |text: &str| text.parse::<Hosts>().map(|hosts| hosts.0.iter().map(name).collect::<Vec<_>>());
        let table = [
            ("postgres://u:p@one/db", vec!["one:5432"]),
            ("postgresql://u:p@one:5433,two/db?sslmode=disable", vec!["one:5433", "two:5432"]),
            ("postgres://u:p%40w@[::1]:5433,10.0.0.2:5434/db", vec!["[::1]:5433", "10.0.0.2:5434"]),
            ("postgres://one,two", vec!["one:5432", "two:5432"]),
        ];
        for (text, expected) in table {
            assert_eq!(
                hosts(text).as_deref(),
                Ok(expected.into_iter().map(String::from).collect::<Vec<_>>().as_slice())
            );
        }
        assert_eq!(hosts("mysql://one/db"), Err(InvalidHosts::Scheme));
        assert_eq!(hosts("one/db"), Err(InvalidHosts::Scheme));
        assert!(matches!(hosts("postgres://one:port,two/db"), Err(InvalidHosts::Host(host, _)) if host == "one:port"));
        assert_eq!(hosts("postgres://a,b,c,d,e,f,g,h,i/db"), Err(InvalidHosts::TooMany));
    }

    #[test]
    fn what_is_no_host_is_the_same_for_all() {
        let hosts: Hosts = "postgres://u:p@one,two:1/db".parse().unwrap();
        assert!(hosts.each().iter().all(|host| host.get_username() == "u" && host.get_database() == Some("db")));
        assert!(!format!("{hosts:?}").contains("p@"), "the password is not shown");
    }
}
