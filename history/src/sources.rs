//! Where the rows of a read model come from.

use domain::event::AggregateType;
use schema::log::StreamId;
use schema::view::Model;
use uuid::Uuid;

/// What changes one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Stream(StreamId),
    /// One event of a stream.
    Event(StreamId, i64),
    /// The stream of the station's command of this id; where there is none, the events that the command caused, which were
    /// appended together.
    Command(Uuid),
}

impl Source {
    /// None: no row of the read model has such a key.
    pub fn of(model: Model, key: &str) -> Option<Self> {
        let stream = |aggregate| Some(Self::Stream(StreamId { aggregate, id: Uuid::parse_str(key).ok()? }));
        match model {
            Model::ChargePoints => stream(AggregateType::ChargePoint),
            Model::Sessions => stream(AggregateType::ChargingSession),
            Model::Drivers => stream(AggregateType::Driver),
            Model::Tokens => stream(AggregateType::Token),
            Model::Sites => stream(AggregateType::Site),
            Model::Tariffs => stream(AggregateType::Tariff),
            Model::Plans => stream(AggregateType::Plan),
            Model::Commands => Some(Self::Command(Uuid::parse_str(key).ok()?)),
            Model::MeterValues => {
                let (session, sequence) = key.split_once('/')?;
                let id = Uuid::parse_str(session).ok()?;
                let stream = StreamId { aggregate: AggregateType::ChargingSession, id };
                Some(Self::Event(stream, sequence.parse().ok().filter(|sequence| *sequence > 0)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use read_models::testing::{MemoryLog, Network};
    use read_models::{Fact, touched};

    use super::*;

    #[test]
    fn every_row_comes_from_where_it_is_looked_for() {
        for seed in 0..10 {
            let (mut network, mut log) = (Network::new(seed), MemoryLog::default());
            for _ in 0..400 {
                log.append(network.step());
            }
            for event in log.events() {
                for touch in touched(&Fact::of(event).unwrap()) {
                    match Source::of(touch.model, &touch.key).unwrap() {
                        Source::Stream(stream) => assert_eq!(stream, event.stream, "{touch:?}"),
                        Source::Event(stream, sequence) => {
                            assert_eq!((stream, sequence), (event.stream, event.sequence), "{touch:?}");
                        }
                        Source::Command(id) => {
                            let own = event.stream == StreamId { aggregate: AggregateType::StationCommand, id };
                            assert!(own || event.envelope.causation_id == Some(id), "{touch:?}");
                        }
                    }
                }
            }
        }
    }
}
