//! The messages of `/ws`: text frames of JSON (docs/websocket.md).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};

use super::command::{Accepted, Problem, StartCharging, StopCharging};
use super::query::{Charger, Command, Session, Timestamp};

/// What a client says. Every message may carry an `id`, which the direct answer repeats.
///
/// It is read in parts, by the name of its action: serde can't say which member of a flattened enum does not fit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    #[serde(flatten)]
    pub action: ClientAction,
}

#[derive(Clone, Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ClientAction {
    /// Who it is; also renews the token on the open socket.
    Auth(Auth),
    /// Follow a topic. With `since` and `generation` from before, what changed after it; otherwise all of it.
    Subscribe(Subscribe),
    /// Follow a topic no more.
    Unsubscribe(Unsubscribe),
    /// As `POST /api/sessions/start`. `command_id` makes it safe to repeat, in one namespace with HTTP's `Idempotency-Key`.
    StartCharging {
        #[serde(skip_serializing_if = "Option::is_none")]
        command_id: Option<String>,
        #[serde(flatten)]
        request: StartCharging,
    },
    /// As `POST /api/sessions/stop`.
    StopCharging {
        #[serde(skip_serializing_if = "Option::is_none")]
        command_id: Option<String>,
        #[serde(flatten)]
        request: StopCharging,
    },
    /// Ask for a sign of life.
    Ping {},
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Auth {
    pub token: String,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Subscribe {
    #[schema(example = "charger:CP001")]
    pub topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Unsubscribe {
    pub topic: String,
}

/// Names the action and never its content, which may be a token.
impl std::fmt::Debug for ClientAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auth(_) => "auth",
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::StartCharging { .. } => "start_charging",
            Self::StopCharging { .. } => "stop_charging",
            Self::Ping {} => "ping",
        })
    }
}

/// What the server says. Of one topic, `upto` says: all of this topic up to here has been sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The token is good; of the one that came with the opening, without having been asked.
    Authenticated { generation: i64, data: Authenticated },
    /// Replaces all that the client holds of the topic: one resource as GET gives it, or [`ResourceSet`].
    Snapshot {
        topic: String,
        upto: i64,
        generation: i64,
        #[schema(schema_with = content)]
        data: Value,
    },
    /// A charger has changed.
    Update(Change),
    /// A session has begun.
    SessionStarted(Change),
    /// A session goes on, or was asked for.
    SessionUpdated(Change),
    /// A session has ended.
    SessionStopped(Change),
    /// A session did not come about.
    SessionFailed(Change),
    /// A command has got further.
    CommandChanged(Change),
    /// What the client holds is still good; what changed since follows, and then `live`.
    Resumed { topic: String, generation: i64 },
    /// What changed before this has been sent; from here on changes come as they happen.
    Live { topic: String, upto: i64, generation: i64 },
    /// Nothing more comes of the topic.
    Unsubscribed { topic: String },
    /// A command was taken; what comes of it is followed live.
    Accepted {
        #[schema(value_type = Accepted)]
        data: Value,
    },
    /// What the client said was not understood, or not done. With a `topic`, the answer to a `subscribe`: nothing comes of
    /// the topic until it is asked for again, which is for the client to do after the problem's `retry_after_s` if it has one.
    Error {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        #[schema(value_type = Problem)]
        data: Value,
    },
    /// Everything of every subscription up to `upto` has been sent.
    Pong { upto: i64, server_time: Timestamp },
}

/// A resource of a topic in its newest state, whole. Ignore it unless `position` is above the one held for its key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Change {
    pub topic: String,
    /// `charger:<id>`, `session:<id>` or `command:<id>`.
    #[schema(example = "charger:CP001")]
    pub key: String,
    pub position: i64,
    pub upto: i64,
    #[schema(schema_with = resource)]
    pub data: Value,
    /// It has left the topic; `data` is how it was when it left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// Who the socket belongs to now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Authenticated {
    pub user_id: String,
    pub role: String,
    pub driver_id: Option<String>,
    /// When the token ends; send a new one before.
    pub expires_at: Timestamp,
    pub server_time: Timestamp,
}

/// The snapshot of a topic that is a set. Of `me` only sessions and commands.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ResourceSet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Charger>>)]
    pub chargers: Option<Vec<Value>>,
    #[schema(value_type = Vec<Session>)]
    pub sessions: Vec<Value>,
    #[schema(value_type = Vec<Command>)]
    pub commands: Vec<Value>,
}

/// A resource as GET gives it.
fn resource() -> RefOr<Schema> {
    one_of(&["Charger", "Session", "Command"])
}

/// Of a topic that is one resource, that; of a set, its members.
fn content() -> RefOr<Schema> {
    one_of(&["Charger", "Session", "ResourceSet"])
}

fn one_of(schemas: &[&str]) -> RefOr<Schema> {
    let all = schemas.iter().fold(OneOfBuilder::new(), |all, name| all.item(Ref::from_schema_name(*name)));
    RefOr::T(Schema::OneOf(all.build()))
}
