use std::sync::Arc;

use phoenix_proto::{Broadcast, Text};

use super::NodeName;
use super::engine::{Counters, Ledger, PubSubStats, Publication, PublishError, Queue, Route};
use super::envelope::{self, Sender};

/// The way to other nodes: the near end of an engine, which ends when this is dropped.
pub(super) struct Remote {
    pub(super) own: Arc<Sender>,
    pub(super) queue: Arc<Queue>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) counters: Arc<Counters>,
}

impl Remote {
    /// Sends a broadcast to the nodes that have subscribers of its topic.
    pub(super) fn publish(&self, broadcast: &Broadcast) -> Result<(), PublishError> {
        self.send(Route::Topic(broadcast.topic.clone()), broadcast)
    }

    /// Sends a broadcast to one node.
    pub(super) fn publish_to(&self, node: &NodeName, broadcast: &Broadcast) -> Result<(), PublishError> {
        self.send(Route::Node(node.clone()), broadcast)
    }

    /// A topic got its first subscriber on this node, or lost its last.
    pub(super) fn interested(&self, topic: &Text, interested: bool) {
        self.ledger.set(topic, interested);
    }

    pub(super) async fn settled(&self) {
        self.ledger.settled().await;
    }

    pub(super) fn stats(&self) -> PubSubStats {
        self.counters.read()
    }

    fn send(&self, to: Route, broadcast: &Broadcast) -> Result<(), PublishError> {
        self.queue.push(Publication { to, message: envelope::encode(&self.own, broadcast) })
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.queue.close();
    }
}
