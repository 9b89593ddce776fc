//! How a decision is made: from a state and a command to events, or to a refusal. Nothing is changed by deciding.

use cqrs_es::{Aggregate, DomainEvent};

use crate::event::{AggregateType, Event};
use crate::refusal::Refusal;

/// An aggregate whose decisions are a pure function of its state.
///
/// cqrs-es's `handle` applies events to the state before they are committed; deciding from a shared reference lets
/// the same cached state serve until the log has taken the events.
pub trait Decide: Aggregate<Error = Refusal, Services = (), Event: Payload> + Clone {
    const AGGREGATE: AggregateType;
    /// Changes when `apply` does, so that stored states of an older fold are rebuilt.
    const FOLD_VERSION: i32;

    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Refusal>;
}

/// The events of one aggregate, as part of the whole catalogue.
pub trait Payload: DomainEvent {
    fn into_event(self) -> Event;
    fn from_event(event: &Event) -> Option<&Self>;
}

/// The glue between [`Decide`] and cqrs-es's traits.
macro_rules! aggregate {
    ($state:ident, $command:ident, $event:ident, $kind:ident) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $crate::event::AggregateType::$kind.as_str();
            type Command = $command;
            type Event = $event;
            type Error = $crate::refusal::Refusal;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                _: &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::aggregate::Decide::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.apply_event(event);
            }
        }

        impl $crate::aggregate::Payload for $event {
            fn into_event(self) -> $crate::event::Event {
                $crate::event::Event::$kind(self)
            }

            fn from_event(event: &$crate::event::Event) -> Option<&Self> {
                match event {
                    $crate::event::Event::$kind(event) => Some(event),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use aggregate;

/// The stored name and version of each event of an enum, exhaustively.
macro_rules! event_names {
    ($event:ident { $($variant:ident => $version:literal),+ $(,)? }) => {
        impl $event {
            /// Every type of event that this aggregate has, with its newest version.
            pub const TYPES: &'static [(&'static str, &'static str)] = &[$((stringify!($variant), $version)),+];

            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant)),+ }
            }

            pub const fn version(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $version),+ }
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                self.version().to_owned()
            }
        }
    };
}
pub(crate) use event_names;
