//! A resource in a new state, ready to be sent to whoever follows it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::envelope::ActorKind;
use domain::id::{ChargePointId, CommandId, DriverId, SessionId, TenantId};
use domain::session::SessionState;
use schema::log::Position;
use schema::view::{ChargePointRow, CommandRow, SessionRow};
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

/// A resource in one state. Its JSON is made once for each face that is looked at, and shared.
#[derive(Debug)]
pub struct Update {
    pub key: ResourceKey,
    pub tenant_id: TenantId,
    /// The key as clients see it: `charger:CP001`.
    pub key_text: String,
    pub position: Position,
    pub kind: Kind,
    /// Its row was removed.
    gone: bool,
    /// Over or settled: it is no member of a set any more.
    ended: bool,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Charger {
        row: Box<ChargePointRow>,
        places: Arc<Places>,
        row_position: Position,
        faces: Faces,
    },
    /// Everybody who may see it sees the same.
    Plain {
        body: Bytes,
        topics: Vec<Topic>,
    },
}

/// The faces of a charger: for everybody, for operators, and for each driver who holds one of its EVSEs.
#[derive(Debug, Default)]
struct Faces {
    public: OnceLock<Bytes>,
    operator: OnceLock<Bytes>,
    own: Vec<(DriverId, OnceLock<Bytes>)>,
}

impl Update {
    /// None while nobody registered it.
    pub fn charger(row: At<'_, ChargePointRow>, removed: bool, places: &Arc<Places>) -> Option<Self> {
        let identity = row.row.charge_point.identity.as_ref()?;
        let own = row.row.charge_point.claims.values().filter_map(|claim| claim.driver_id);
        let own = own.map(|driver_id| (driver_id, OnceLock::new())).collect();
        Some(Self {
            key: ResourceKey::Charger(row.row.charge_point_id),
            tenant_id: row.row.tenant_id,
            key_text: format!("charger:{identity}"),
            position: charger::position(row, places),
            kind: Kind::Update,
            gone: removed,
            ended: false,
            content: Content::Charger {
                row: Box::new(row.row.clone()),
                row_position: row.position,
                places: places.clone(),
                faces: Faces { own, ..Faces::default() },
            },
        })
    }

    pub fn session(row: At<'_, SessionRow>, removed: bool, names: &Names) -> Self {
        let session = &row.row.session;
        let mut topics = vec![Topic::Session(row.row.session_id), Topic::Fleet(row.row.tenant_id)];
        topics.extend(session.driver_id.map(|id| Topic::Me(id.0)));
        topics.extend(session.charge_point_id.map(Topic::Station));
        Self {
            key: ResourceKey::Session(row.row.session_id),
            tenant_id: row.row.tenant_id,
            key_text: format!("session:{}", row.row.session_id),
            position: row.position,
            kind: Kind::of_session(row.row),
            gone: removed,
            ended: session.state.is_over(),
            content: Content::Plain { body: encode(&session::compose(row, names)), topics },
        }
    }

    pub fn command(row: At<'_, CommandRow>, removed: bool, names: &Names) -> Self {
        let command = row.row;
        let mut topics = vec![Topic::Fleet(command.tenant_id)];
        topics.extend(requester(command).map(Topic::Me));
        topics.extend(command.charge_point_id.map(Topic::Station));
        Self {
            key: ResourceKey::Command(command.command_id),
            tenant_id: command.tenant_id,
            key_text: format!("command:{}", command.command_id),
            position: row.position,
            kind: Kind::CommandChanged,
            gone: removed,
            ended: command.state.is_settled(),
            content: Content::Plain { body: encode(&command::compose(row, names)), topics },
        }
    }

    /// Whether it is no part of the topic any more: a topic of one resource keeps it whatever becomes of it.
    pub fn has_left(&self, topic: Topic) -> bool {
        self.gone || (self.ended && topic.is_set())
    }

    /// Where it belongs.
    pub fn topics(&self) -> Vec<Topic> {
        match (&self.content, self.key) {
            (Content::Plain { topics, .. }, _) => topics.clone(),
            (Content::Charger { .. }, ResourceKey::Charger(id)) => {
                vec![Topic::Charger(id), Topic::Station(id), Topic::Fleet(self.tenant_id)]
            }
            (Content::Charger { .. }, _) => vec![],
        }
    }

    /// The resource as this viewer may see it, as JSON.
    pub fn body(&self, viewer: Viewer) -> Bytes {
        let (row, position, places, faces) = match &self.content {
            Content::Plain { body, .. } => return body.clone(),
            Content::Charger { row, row_position, places, faces } => (row, *row_position, places, faces),
        };
        let (cell, face) = match viewer {
            Viewer::Operator => (&faces.operator, Face::Operator),
            Viewer::Driver(id) => match faces.own.iter().find(|(own, _)| *own == id) {
                Some((_, cell)) => (cell, Face::Own(id)),
                None => (&faces.public, Face::Public),
            },
        };
        cell.get_or_init(|| encode(&charger::compose(At { position, row: row.as_ref() }, places, face))).clone()
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
