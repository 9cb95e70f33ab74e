use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use phoenix_proto::presence::{Destination, Message, Outgoing, ReplicaChange, TopicList, Tracker};
use phoenix_proto::{Broadcast, Payload, Text};

use super::deferred;
use super::hooks::{Fetch, Observer};
use super::lanes::{Lanes, Pending};
use super::stats::{Counters, PresenceStats};
use crate::driver::now;
use crate::pubsub::{INTERNAL_EVENT, NodeName, PubSub};

/// The presences of some topics: a tracker that many threads use.
///
/// The tracker's lock is held for what the tracker does, and never while anything is encoded, sent, published or
/// listed. Wait direction: whoever holds it takes the lock of the lanes, and no other.
pub(super) struct Shard {
    tracker: Mutex<Tracker>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) pubsub: PubSub,
    /// The topic on which the nodes talk about this shard.
    gossip: Text,
    pub(super) diff_event: Text,
    pub(super) fetch: Option<Fetch>,
    pub(super) observer: Option<Observer>,
    pub(super) counters: Counters,
}

/// What a shard is made of, besides its tracker.
pub(super) struct ShardParts {
    pub(super) pubsub: PubSub,
    pub(super) gossip: Text,
    pub(super) diff_event: Text,
    pub(super) fetch: Option<Fetch>,
    pub(super) observer: Option<Observer>,
}

impl Shard {
    pub(super) fn new(tracker: Tracker, parts: ShardParts) -> Self {
        let ShardParts { pubsub, gossip, diff_event, fetch, observer } = parts;
        Self {
            tracker: Mutex::new(tracker),
            lanes: Arc::default(),
            pubsub,
            gossip,
            diff_event,
            fetch,
            observer,
            counters: Counters::default(),
        }
    }

    /// Does something to the tracker and what follows from it.
    pub(super) fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut Tracker, Instant) -> T) -> T {
        let mut tracker = self.tracker.lock();
        let result = act(&mut tracker, now());
        let mut topics = Vec::new();
        // Under the tracker's lock, so that diffs wait in the order in which they happened.
        while let Some(diff) = tracker.poll_diff() {
            topics.push(Arc::clone(&diff.topic));
            let list = tracker.list(&diff.topic);
            if self.lanes.push(Pending { diff, list }) {
                self.counters.merged_diffs.add(1);
            }
        }
        let outgoing: Vec<_> = std::iter::from_fn(|| tracker.poll_message()).collect();
        let changes: Vec<_> = std::iter::from_fn(|| tracker.poll_replica_change()).collect();
        drop(tracker);

        changes.iter().for_each(log);
        self.send(outgoing);
        for topic in topics {
            deferred::publish(self, topic);
        }
        result
    }

    /// The topic on which the nodes talk about this shard.
    pub(super) fn gossip(&self) -> &Text {
        &self.gossip
    }

    /// Reads from the tracker.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Tracker) -> T) -> T {
        read(&self.tracker.lock())
    }

    /// The presences of a topic. What waits to be published is published first, as it is part of the list.
    pub(super) fn list(self: &Arc<Self>, topic: &str) -> TopicList {
        self.publish(topic);
        self.read(|tracker| tracker.list(topic))
    }

    /// A message of another node came.
    pub(super) fn receive(self: &Arc<Self>, broadcast: &Broadcast) {
        match &broadcast.payload {
            Payload::Binary(bytes) if broadcast.event == INTERNAL_EVENT => {
                let decoded = Message::decode(bytes);
                self.change(|tracker, now| tracker.handle_decoded(decoded, now));
            }
            _ => self.counters.malformed.add(1),
        }
    }

    pub(super) fn add_stats(&self, stats: &mut PresenceStats) {
        stats.add(self.read(Tracker::stats), &self.counters);
    }

    fn send(&self, outgoing: Vec<Outgoing>) {
        let mut unsent = 0;
        for Outgoing { to, message, .. } in outgoing {
            let broadcast = Broadcast {
                topic: self.gossip.clone(),
                event: Text::from_static(INTERNAL_EVENT),
                payload: Payload::Binary(message.encode().into()),
            };
            let sent = match to {
                Destination::All => self.pubsub.publish_remote(&broadcast),
                Destination::Node(node) => self.pubsub.publish_to(&NodeName::new(node), &broadcast),
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "a presence message was not sent");
                unsent += 1;
            }
        }
        if unsent > 0 {
            self.counters.unsent.add(unsent);
            self.tracker.lock().handle_unsent();
        }
    }
}

fn log(change: &ReplicaChange) {
    match change {
        ReplicaChange::Up(replica) => tracing::info!(?replica, "presences of a node are listed"),
        ReplicaChange::Down(replica) => tracing::info!(?replica, "presences of a silent node are hidden"),
        ReplicaChange::Permdown(replica) => tracing::info!(?replica, "presences of a node are forgotten"),
        _ => {}
    }
}
