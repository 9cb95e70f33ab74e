use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;
use parking_lot::RwLock;
use phoenix_proto::server::{ChannelId, CloseReason};
use phoenix_proto::{Broadcast, EncodeError, Frame, Serializer, Text};
use slab::Slab;

use super::remote::Remote;
use super::subscription::Sender;
use super::{INTERNAL_EVENT, NodeName};
use crate::handle::Link;
use crate::inbox::{Inbox, Item};
use crate::presence::Names;

/// Names who subscribed, so that a broadcast can leave its sender out. One subscriber may have several
/// subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SubscriberId(u64);

impl SubscriberId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a subscriber wants its broadcasts.
pub(crate) enum Target {
    /// To the client as an encoded frame, except intercepted events, which go to the channel.
    Fastlane {
        inbox: Arc<Inbox>,
        channel: ChannelId,
        serializer: Arc<dyn Serializer>,
        intercepts: Option<(Arc<Link>, &'static [&'static str])>,
    },
    /// To the channel as an info of its own type.
    Info { link: Arc<Link>, map: Arc<InfoMap> },
    /// To the connection whose socket id the topic is: `disconnect` closes it.
    Connection { inbox: Arc<Inbox> },
    /// To a queue of the application.
    Queue(Sender),
}

pub(crate) type InfoMap = dyn Fn(&Arc<Broadcast>) -> Box<dyn Any + Send> + Send + Sync;

/// The subscribers of every topic on this node.
///
/// Broadcasts share a read lock of their topic's shard; only subscribing and unsubscribing write.
pub(super) struct Table {
    node: NodeName,
    /// One hash of a topic, which nobody can foresee, names its shard and its place there.
    shards: [Shard; SHARDS],
    hasher: RandomState,
    /// The way to other nodes, if there are any.
    remote: Option<Remote>,
    presences: Names,
}

const SHARDS: usize = 16;

type Shard = RwLock<HashTable<Topic>>;

struct Topic {
    name: Text,
    entries: Slab<Entry>,
}

struct Entry {
    subscriber: SubscriberId,
    target: Target,
}

/// A subscription that ends when it is dropped.
pub(crate) struct TopicGuard {
    table: Arc<Table>,
    topic: Text,
    key: usize,
}

impl Table {
    pub(super) fn new(node: NodeName, remote: Option<Remote>) -> Self {
        Self {
            node,
            shards: Default::default(),
            hasher: RandomState::new(),
            remote,
            presences: Names::default(),
        }
    }

    pub(super) fn node(&self) -> &NodeName {
        &self.node
    }

    pub(super) fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    pub(super) fn presences(&self) -> &Names {
        &self.presences
    }

    pub(super) fn subscribe(
        self: &Arc<Self>,
        topic: Text,
        subscriber: SubscriberId,
        target: Target,
    ) -> TopicGuard {
        let hash = self.hash(&topic);
        let mut shard = self.shard(hash).write();
        let entries = match shard.entry(hash, |known| known.name == topic, |known| self.hash(&known.name)) {
            Place::Occupied(known) => &mut known.into_mut().entries,
            // Most topics have one subscriber; a vector would start with room for four.
            Place::Vacant(place) => {
                let new = Topic { name: topic.clone(), entries: Slab::with_capacity(1) };
                &mut place.insert(new).into_mut().entries
            }
        };
        if entries.is_empty()
            && let Some(remote) = &self.remote
        {
            // Under the lock of the shard, so that the engine learns of first and last subscribers in order.
            remote.interested(&topic, true);
        }
        let key = entries.insert(Entry { subscriber, target });
        drop(shard);
        TopicGuard { table: Arc::clone(self), topic, key }
    }

    /// Delivers to all subscribers of a topic except `from`; if it cannot be encoded for one of them, to none.
    ///
    /// Returns the number of subscribers it was delivered to.
    pub(super) fn dispatch(
        &self,
        broadcast: &Arc<Broadcast>,
        from: Option<SubscriberId>,
    ) -> Result<usize, EncodeError> {
        let hash = self.hash(&broadcast.topic);
        let shard = self.shard(hash).read();
        let Some(topic) = shard.find(hash, |known| known.name == broadcast.topic) else { return Ok(0) };
        // What nodes tell each other is for nobody's client, whatever topics it can join.
        let internal = broadcast.event == INTERNAL_EVENT;
        let wanted = |entry: &&Entry| {
            Some(entry.subscriber) != from && (!internal || matches!(entry.target, Target::Queue(_)))
        };
        let receivers = || topic.entries.iter().map(|(_, entry)| entry).filter(wanted);
        let mut frames = Frames::default();
        for entry in receivers() {
            if let Some(serializer) = entry.target.fastlane(&broadcast.event) {
                frames.encode(serializer, broadcast)?;
            }
        }
        Ok(receivers().filter(|entry| entry.target.deliver(broadcast, &frames)).count())
    }

    pub(super) fn subscribers(&self, topic: &str) -> usize {
        let hash = self.hash(topic);
        self.shard(hash)
            .read()
            .find(hash, |known| known.name == *topic)
            .map_or(0, |topic| topic.entries.len())
    }

    fn hash(&self, topic: &str) -> u64 {
        self.hasher.hash_one(topic)
    }

    fn shard(&self, hash: u64) -> &Shard {
        // Bits that the table of the shard does not look at first.
        &self.shards[usize::try_from(hash >> 32).unwrap_or_default() % SHARDS]
    }
}

impl Target {
    /// The channel, if it wants to see an event before its client does.
    fn interceptor(&self, event: &str) -> Option<&Arc<Link>> {
        match self {
            Self::Fastlane { intercepts: Some((link, events)), .. } if events.contains(&event) => Some(link),
            _ => None,
        }
    }

    /// The serializer by which an event goes straight to the client.
    fn fastlane(&self, event: &str) -> Option<&Arc<dyn Serializer>> {
        match self {
            Self::Fastlane { serializer, .. } if self.interceptor(event).is_none() => Some(serializer),
            _ => None,
        }
    }

    /// Whether the receiver was there.
    fn deliver(&self, broadcast: &Arc<Broadcast>, frames: &Frames) -> bool {
        let delivered = match self {
            Self::Fastlane { inbox, channel, serializer, .. } => match self.interceptor(&broadcast.event) {
                Some(link) => link.mail(|place| Item::Broadcast(*channel, Arc::clone(broadcast), place)),
                None => match frames.get(serializer) {
                    Some(frame) => inbox.push_broadcast(*channel, frame.clone()),
                    None => return false,
                },
            },
            Self::Info { link, map } => link.mail(|place| Item::Info(link.channel, map(broadcast), place)),
            Self::Connection { .. } if broadcast.event != "disconnect" => Ok(()),
            Self::Connection { inbox } => inbox.push(Item::Close(Box::new(CloseReason::Disconnected))),
            Self::Queue(sender) => return sender.send(broadcast),
        };
        delivered.is_ok()
    }
}

/// One broadcast encoded for each serializer that needs it: one or two in practice.
#[derive(Default)]
struct Frames(Vec<(Arc<dyn Serializer>, Frame)>);

impl Frames {
    fn get(&self, serializer: &Arc<dyn Serializer>) -> Option<&Frame> {
        self.0.iter().find(|(known, _)| Arc::ptr_eq(known, serializer)).map(|(_, frame)| frame)
    }

    fn encode(&mut self, serializer: &Arc<dyn Serializer>, broadcast: &Broadcast) -> Result<(), EncodeError> {
        if self.get(serializer).is_none() {
            self.0.push((Arc::clone(serializer), serializer.encode_broadcast(broadcast)?));
        }
        Ok(())
    }
}

impl TopicGuard {
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }
}

impl Drop for TopicGuard {
    fn drop(&mut self) {
        let hash = self.table.hash(&self.topic);
        let mut shard = self.table.shard(hash).write();
        let Ok(mut topic) = shard.find_entry(hash, |known| known.name == self.topic) else { return };
        let entries = &mut topic.get_mut().entries;
        let entry = entries.try_remove(self.key);
        if entries.is_empty() {
            drop(topic.remove());
            if let Some(remote) = &self.table.remote {
                remote.interested(&self.topic, false);
            }
        }
        // Dropping an entry may run foreign code.
        drop(shard);
        drop(entry);
    }
}

impl fmt::Debug for TopicGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicGuard").field(&self.topic).finish()
    }
}
