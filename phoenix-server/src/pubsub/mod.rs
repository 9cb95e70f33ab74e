//! Topics and their subscribers on this node, and the way to other nodes (FEATURES K, protocol §16).

mod broadcast;
mod builder;
mod cluster;
mod engine;
mod envelope;
mod node;
mod remote;
mod subscription;
mod table;

pub use broadcast::{BroadcastError, PubSub};
pub use builder::PubSubBuilder;
pub use cluster::{LocalCluster, LocalEngine};
pub use engine::{
    Backoff, Connector, Engine, Inbound, InterestChanges, Interests, Link, Outbox, Port, PubSubStats,
    Publication, PublishError, Route, keep_connected,
};
pub use node::NodeName;
pub(crate) use node::random;
pub use subscription::{Subscription, SubscriptionError};
pub(crate) use table::{SubscriberId, Target, TopicGuard};

/// The event of what the library itself tells other nodes. Applications cannot broadcast it, so that no client can
/// make them.
pub(crate) const INTERNAL_EVENT: &str = "phx_internal";
