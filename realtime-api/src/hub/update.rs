//! A resource in a new state, ready to be sent to whoever follows it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::envelope::ActorKind;
use domain::id::{ChargePointId, CommandId, DriverId, SessionId};
use domain::session::SessionState;
use schema::log::Position;
use schema::view::{CommandRow, Row, RowChange, SessionRow};
use serde::Serialize;
use uuid::Uuid;

use super::topic::Topic;
use crate::directory::{Names, Places};
use crate::resource::charger::Face;
use crate::resource::{At, charger, command, session};

/// Whose newest state replaces an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKey {
    Charger(ChargePointId),
    Session(SessionId),
    Command(CommandId),
}

/// What happened, as a hint: the `type` of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Update,
    SessionStarted,
    SessionUpdated,
    SessionStopped,
    SessionFailed,
    CommandChanged,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::SessionStarted => "session_started",
            Self::SessionUpdated => "session_updated",
            Self::SessionStopped => "session_stopped",
            Self::SessionFailed => "session_failed",
            Self::CommandChanged => "command_changed",
        }
    }

    fn of_session(row: &SessionRow) -> Self {
        match row.session.state {
            SessionState::Completed => Self::SessionStopped,
            SessionState::Failed => Self::SessionFailed,
            // Nothing was metered since it began: it has just begun.
            SessionState::Active if row.session.metered_at.is_none() => Self::SessionStarted,
            SessionState::Requested | SessionState::Active | SessionState::Stopping => Self::SessionUpdated,
        }
    }
}

/// Whose eyes a resource is encoded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    Driver(DriverId),
    Operator,
}

/// A resource in one state. Its JSON is made when it is first looked at, once for each face, and shared.
#[derive(Debug)]
pub struct Update {
    pub key: ResourceKey,
    /// The key as clients see it: `charger:CP001`.
    pub key_text: String,
    pub position: Position,
    pub kind: Kind,
    /// Over or settled: it is no member of a set any more.
    ended: bool,
    change: Arc<RowChange>,
    places: Arc<Places>,
    names: Arc<Names>,
    faces: Faces,
}

/// The faces of a resource: for everybody who may see it, and of a charger also for operators, and for each driver who
/// holds one of its EVSEs.
#[derive(Debug, Default)]
struct Faces {
    public: OnceLock<Bytes>,
    operator: OnceLock<Bytes>,
    own: Vec<(DriverId, OnceLock<Bytes>)>,
}

impl Update {
    /// The resource that a row stands for, where somebody can follow it; of a charge point none while nobody registered it.
    pub fn of(change: &Arc<RowChange>, places: &Arc<Places>, names: &Arc<Names>) -> Option<Self> {
        let mut faces = Faces::default();
        let (key, key_text, position, kind, ended) = match &change.row {
            Row::ChargePoints(row) => {
                let identity = row.charge_point.identity.as_ref()?;
                let holders = row.charge_point.claims.values().filter_map(|claim| claim.driver_id);
                faces.own = holders.map(|driver_id| (driver_id, OnceLock::new())).collect();
                let position = charger::position(At::of(change, row.as_ref()), places);
                let key = ResourceKey::Charger(row.charge_point_id);
                (key, format!("charger:{identity}"), position, Kind::Update, false)
            }
            Row::Sessions(row) => {
                let id = row.session_id;
                let ended = row.session.state.is_over();
                (ResourceKey::Session(id), format!("session:{id}"), change.position, Kind::of_session(row), ended)
            }
            Row::Commands(row) => {
                let id = row.command_id;
                let ended = row.state.is_settled();
                (ResourceKey::Command(id), format!("command:{id}"), change.position, Kind::CommandChanged, ended)
            }
            Row::MeterValues(_)
            | Row::Drivers(_)
            | Row::Tokens(_)
            | Row::Sites(_)
            | Row::Tariffs(_)
            | Row::Plans(_) => return None,
        };
        let (change, places, names) = (change.clone(), places.clone(), names.clone());
        Some(Self { key, key_text, position, kind, ended, change, places, names, faces })
    }

    /// Whether it is no part of the topic any more: a topic of one resource keeps it whatever becomes of it.
    pub fn has_left(&self, topic: Topic) -> bool {
        self.change.removed || (self.ended && topic.is_set())
    }

    /// Where it belongs.
    pub fn topics(&self) -> Vec<Topic> {
        match &self.change.row {
            Row::ChargePoints(row) => {
                let id = row.charge_point_id;
                vec![Topic::Charger(id), Topic::Station(id), Topic::Fleet(row.tenant_id)]
            }
            Row::Sessions(row) => {
                let mut topics = vec![Topic::Session(row.session_id), Topic::Fleet(row.tenant_id)];
                topics.extend(row.session.driver_id.map(|id| Topic::Me(id.0)));
                topics.extend(row.session.charge_point_id.map(Topic::Station));
                topics
            }
            Row::Commands(row) => {
                let mut topics = vec![Topic::Fleet(row.tenant_id)];
                topics.extend(requester(row).map(Topic::Me));
                topics.extend(row.charge_point_id.map(Topic::Station));
                topics
            }
            _ => vec![],
        }
    }

    /// The resource as this viewer may see it, as JSON.
    pub fn body(&self, viewer: Viewer) -> Bytes {
        let (cell, face) = match viewer {
            Viewer::Operator => (&self.faces.operator, Face::Operator),
            Viewer::Driver(id) => match self.faces.own.iter().find(|(own, _)| *own == id) {
                Some((_, cell)) => (cell, Face::Own(id)),
                None => (&self.faces.public, Face::Public),
            },
        };
        match &self.change.row {
            Row::ChargePoints(row) => {
                let row = At::of(&self.change, row.as_ref());
                cell.get_or_init(|| encode(&charger::compose(row, &self.places, face))).clone()
            }
            // Everybody who may see these sees the same.
            Row::Sessions(row) => {
                let row = At::of(&self.change, row.as_ref());
                self.faces.public.get_or_init(|| encode(&session::compose(row, &self.names))).clone()
            }
            Row::Commands(row) => {
                let row = At::of(&self.change, row.as_ref());
                self.faces.public.get_or_init(|| encode(&command::compose(row, &self.names))).clone()
            }
            _ => Bytes::from_static(b"null"),
        }
    }
}

/// The user who follows the command under `me`.
fn requester(command: &CommandRow) -> Option<Uuid> {
    let person = matches!(command.requested_by.kind, ActorKind::Driver | ActorKind::Operator);
    person.then(|| Uuid::parse_str(&command.requested_by.id).ok()).flatten()
}

fn encode(resource: &impl Serialize) -> Bytes {
    serde_json::to_vec(resource).expect("resources have string keys and finite numbers").into()
}

/// What one batch of the view feed has changed: for the shards, whole.
#[derive(Debug)]
pub struct Changes {
    /// The position before the batch.
    pub after: Position,
    /// Everything up to here is in this batch or an earlier one.
    pub upto: Position,
    /// At most one for each key, in the order of positions.
    pub updates: Vec<Arc<Update>>,
    /// When the batch was taken from the feed.
    pub taken_at: std::time::Instant,
}
