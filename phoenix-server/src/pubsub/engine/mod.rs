//! How broadcasts travel to other nodes: one trait, and what every engine shares (protocol §16).

mod backoff;
mod connector;
mod inbound;
mod interests;
mod link;
mod outbox;
mod stats;

use futures_util::future::BoxFuture;

use super::NodeName;
pub use backoff::Backoff;
pub use connector::{Connector, keep_connected};
pub use inbound::Inbound;
pub(super) use interests::Ledger;
pub use interests::{InterestChanges, Interests};
pub use link::Link;
pub(super) use outbox::Queue;
pub use outbox::{Outbox, Publication, PublishError, Route};
pub(super) use stats::Counters;
pub use stats::PubSubStats;

/// Moves broadcasts between nodes, by whatever means.
///
/// It moves bytes it need not understand. Its obligations:
///
/// * publications of one node reach another in the order of the [`Outbox`], each at most once; they may get lost;
/// * what is published to a topic reaches the nodes that are [interested](Interests) in it, and what is published to a
///   node reaches that node. Sending more than that is harmless, and so is sending a node its own publications;
/// * it reconnects by itself, for as long as the PubSub exists; [`keep_connected`] does this for those that hold a
///   connection to a server.
pub trait Engine: Send + 'static {
    /// Runs until the PubSub is dropped, which ends [`Outbox::recv`].
    ///
    /// Wait direction: the engine waits for its port and for the network; publishers never wait for the engine.
    fn run(self: Box<Self>, port: Port) -> BoxFuture<'static, ()>;
}

/// The ends of a PubSub that its engine works with; take it apart to use them in several tasks.
#[derive(Debug)]
#[non_exhaustive]
pub struct Port {
    /// The name of this node: what other nodes publish to it under.
    pub node: NodeName,
    /// What is to be published.
    pub outbox: Outbox,
    /// The topics to receive.
    pub interests: Interests,
    /// Where to put what was received.
    pub inbound: Inbound,
    /// Whether the engine is connected; at first it is not.
    pub link: Link,
}

impl Port {
    pub(super) fn new(
        node: NodeName,
        outbox: Outbox,
        interests: Interests,
        inbound: Inbound,
        link: Link,
    ) -> Self {
        Self { node, outbox, interests, inbound, link }
    }
}
