//! From changed rows to the sockets that follow them: composed once, encoded once, handed to each shard, conflated for
//! each socket. Nothing here waits for a socket.

mod fan_out;
mod inbox;
mod mailbox;
mod pacer;
mod shard;
mod topic;
mod tracker;
mod update;
mod wheel;

pub use fan_out::{Hub, HubHandle};
pub use inbox::SubscriptionId;
pub use mailbox::{Mailbox, Signal};
pub use shard::Shard;
pub use topic::{Topic, TopicName};
pub use update::{ResourceKey, Update, Viewer};
