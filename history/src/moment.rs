use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::envelope::Retention;
use schema::log::{Generation, Position};

use crate::{Error, Past};

/// As of when something is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Position(Position),
    /// The last position that was recorded at this time or before it.
    Time(DateTime<Utc>),
}

/// It is neither a position nor a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is a position of the log, 0 or above, or a time like 2026-03-01T08:15:00Z")]
pub struct NotAsked;

impl FromStr for Asked {
    type Err = NotAsked;

    fn from_str(text: &str) -> Result<Self, NotAsked> {
        if let Ok(position) = text.parse::<i64>() {
            return if position >= 0 { Ok(Self::Position(Position(position))) } else { Err(NotAsked) };
        }
        // In a query string, a plus sign that was not escaped is a space.
        let time = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).map_err(|_| NotAsked)?;
        Ok(Self::Time(time.into()))
    }
}

/// A position that has been, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub position: Position,
    pub generation: Generation,
    /// When its event was recorded. None: it is before the first event.
    pub recorded_at: Option<DateTime<Utc>>,
}

impl Past {
    /// # Errors
    /// When the log has not come so far.
    pub async fn moment(&self, asked: Asked) -> Result<Moment, Error> {
        let (head, generation) = self.store().head().await?;
        let position = match asked {
            Asked::Position(position) if position > head => return Err(Error::AboveHead { head }),
            Asked::Position(position) => position,
            Asked::Time(time) if time > Utc::now() => return Err(Error::NotYet { time }),
            Asked::Time(time) => {
                let position = self.store().position_at(time).await;
                self.or_not_kept(&Retention::ALL, position.map_err(Error::from)).await?
            }
        };
        let recorded_at = self.store().recorded_at(position).await?;
        Ok(Moment { position, generation, recorded_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_or_a_time() {
        let time = Asked::Time("2026-03-01T06:15:00Z".parse().expect("a time"));
        let table = [
            ("0", Some(Asked::Position(Position(0)))),
            ("12345", Some(Asked::Position(Position(12_345)))),
            ("2026-03-01T06:15:00Z", Some(time)),
            ("2026-03-01T06:15:00.000Z", Some(time)),
            ("2026-03-01T08:15:00+02:00", Some(time)),
            ("2026-03-01T08:15:00 02:00", Some(time)),
            ("-1", None),
            ("", None),
            ("yesterday", None),
            ("2026-03-01", None),
            ("12345678901234567890", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
