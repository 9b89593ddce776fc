//! Events from the original into the replay's log: all at once, or when they are due.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use event_store::refeed::{self, REFEED_POSITIONS_MAX, refeed};
use schema::log::Position;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::Instant;

use super::pace::{Pace, Speed};
use super::scratch::explained;
use super::screen::Screen;

/// Events whose times are looked up at once.
const MOMENTS_MAX: i64 = 1_000;
/// Positions that are carried over at once where nothing has to be waited for.
const STEP_POSITIONS: i64 = 1_000;
const SHOW_EVERY: Duration = Duration::from_millis(500);

pub struct Feeder {
    source: pool::Connection<'static>,
    target: pool::Connection<'static>,
    /// Everything up to here is in the replay's log.
    at: Position,
}

impl Feeder {
    pub async fn new(source: PgConnection, target: &PgConnectOptions) -> anyhow::Result<Self> {
        let target = PgConnection::connect_with(target).await?.into();
        Ok(Self { source: source.into(), target, at: Position::START })
    }

    pub fn at(&self) -> Position {
        self.at
    }

    /// Everything up to a position, as fast as it goes.
    pub async fn all(&mut self, upto: Position, step: i64, screen: &mut Screen) -> anyhow::Result<()> {
        while self.at < upto {
            let next = Position(upto.0.min(self.at.0 + step.min(REFEED_POSITIONS_MAX)));
            self.carry(next).await?;
            screen.at(self.at.0, "", None);
        }
        Ok(())
    }

    /// Everything before the range.
    pub async fn before(&mut self, upto: Position) -> anyhow::Result<()> {
        let mut screen = Screen::new("feeding", self.at.0, upto.0);
        self.all(upto, REFEED_POSITIONS_MAX, &mut screen).await
    }

    /// Each event when it is due.
    pub async fn paced(&mut self, upto: Position, speed: Speed) -> anyhow::Result<()> {
        let mut screen = Screen::new("replaying", self.at.0, upto.0);
        if speed == Speed::Max {
            return self.all(upto, STEP_POSITIONS, &mut screen).await;
        }
        let Some((_, first)) = refeed::moments(&mut self.source, self.at, upto, 1).await?.first().copied() else {
            return Ok(());
        };
        let last = refeed::moments(&mut self.source, Position(upto.0 - 1), upto, 1).await?.first().copied();
        let pace = Pace { first, speed };
        let whole = last.map(|(_, time)| pace.due(time)).unwrap_or_default();
        let began = Instant::now();
        while self.at < upto {
            let moments = refeed::moments(&mut self.source, self.at, upto, MOMENTS_MAX).await?;
            let Some((_, next)) = moments.first().copied() else {
                anyhow::bail!("the events after position {} are not in the original any more", self.at);
            };
            self.until(began, pace.due(next), &mut screen, (speed, next, whole)).await;
            let elapsed = began.elapsed();
            let due = moments.iter().take_while(|(_, time)| pace.due(*time) <= elapsed).last();
            if let Some((position, _)) = due {
                self.carry(*position).await?;
            }
        }
        Ok(())
    }

    /// Waits until so long after the beginning, and says meanwhile how far it is.
    async fn until(
        &self,
        began: Instant,
        due: Duration,
        screen: &mut Screen,
        (speed, next, whole): (Speed, DateTime<Utc>, Duration),
    ) {
        loop {
            let elapsed = began.elapsed();
            let left = whole.saturating_sub(elapsed);
            let note = format!(", next recorded at {}, {speed}", next.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            screen.at(self.at.0, &note, Some(left));
            if elapsed >= due {
                return;
            }
            tokio::time::sleep((due - elapsed).min(SHOW_EVERY)).await;
        }
    }

    async fn carry(&mut self, upto: Position) -> anyhow::Result<()> {
        match refeed(&mut self.source, &mut self.target, self.at, upto).await {
            Ok(()) => {
                self.at = upto;
                Ok(())
            }
            Err(refeed::Error::Source(error)) => Err(explained(error)).context("the original log can't be read"),
            Err(refeed::Error::Target(error)) => Err(explained(error)).context("the replay's log can't be written"),
            Err(error @ refeed::Error::Missing { .. }) => {
                Err(error).context("a replay needs every event from the first one on; some were archived meanwhile")
            }
        }
    }
}
