//! What a cluster is made of, by name.

use std::fmt;
use std::str::FromStr;

/// One part: a process, or a server with its processes. Numbers begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Kafka(u16),
    /// 1 and 2. Which of them is the primary changes: [`crate::Cluster::primary`].
    Postgres(u16),
    PgBouncer,
    Relay(u16),
    Projection(u16),
    Command(u16),
    Realtime(u16),
    Edge(u16),
    Nginx,
    /// Simulated chargers and drivers.
    Traffic,
}

impl Part {
    /// Whether it is a process of the program.
    pub fn is_role(self) -> bool {
        matches!(self, Self::Relay(_) | Self::Projection(_) | Self::Command(_) | Self::Realtime(_) | Self::Edge(_))
    }

    fn name_and_number(self) -> (&'static str, Option<u16>) {
        match self {
            Self::Kafka(number) => ("kafka", Some(number)),
            Self::Postgres(number) => ("postgres", Some(number)),
            Self::PgBouncer => ("pgbouncer", None),
            Self::Relay(number) => ("relay", Some(number)),
            Self::Projection(number) => ("projection", Some(number)),
            Self::Command(number) => ("command", Some(number)),
            Self::Realtime(number) => ("realtime", Some(number)),
            Self::Edge(number) => ("edge", Some(number)),
            Self::Nginx => ("nginx", None),
            Self::Traffic => ("traffic", None),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name_and_number() {
            (name, Some(number)) => f.pad(&format!("{name}-{number}")),
            (name, None) => f.pad(name),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no part of a cluster; they are called as edge-1, kafka-1, postgres-2, nginx")]
pub struct NoSuchPart(String);

impl FromStr for Part {
    type Err = NoSuchPart;

    fn from_str(text: &str) -> Result<Self, NoSuchPart> {
        let wrong = || NoSuchPart(text.to_owned());
        let numbered = |of: fn(u16) -> Self, number: &str| number.parse().map(of).map_err(|_| wrong());
        match text.split_once('-') {
            None => match text {
                "pgbouncer" => Ok(Self::PgBouncer),
                "nginx" => Ok(Self::Nginx),
                "traffic" => Ok(Self::Traffic),
                _ => Err(wrong()),
            },
            Some((name, number)) => match name {
                "kafka" => numbered(Self::Kafka, number),
                "postgres" => numbered(Self::Postgres, number),
                "relay" => numbered(Self::Relay, number),
                "projection" => numbered(Self::Projection, number),
                "command" => numbered(Self::Command, number),
                "realtime" => numbered(Self::Realtime, number),
                "edge" => numbered(Self::Edge, number),
                _ => Err(wrong()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_name() {
        let all = [
            Part::Kafka(3),
            Part::Postgres(2),
            Part::PgBouncer,
            Part::Relay(1),
            Part::Projection(2),
            Part::Command(10),
            Part::Realtime(1),
            Part::Edge(1),
            Part::Nginx,
            Part::Traffic,
        ];
        for part in all {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        for wrong in ["edge", "edge-x", "nginx-1", "zoo-1", ""] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
