use std::cmp::Ordering;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};

use super::config::TrackerStart;
use super::meta::Meta;

/// Who tracks a presence: one channel instance on one node. Opaque, unique among the live owners of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner(pub u64);

/// One start of one node: the node's name, and a version that differs between starts (protocol §17.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(Arc<str>, u64)", into = "(Arc<str>, u64)")]
pub struct ReplicaRef(Arc<Identity>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Identity {
    node: Arc<str>,
    version: u64,
}

impl ReplicaRef {
    /// Names the start `version` of `node`.
    pub fn new(node: impl Into<Arc<str>>, version: u64) -> Self {
        Self(Arc::new(Identity { node: node.into(), version }))
    }

    /// The reference of the replica that starts now; time and seed make the version unique.
    pub(crate) fn starting(start: &TrackerStart) -> Self {
        Self::new(Arc::clone(&start.node), FixedState::default().hash_one((start.unix_nanos, start.seed)))
    }

    /// The node's name.
    pub fn node(&self) -> &Arc<str> {
        &self.0.node
    }

    /// Which start of the node; versions have no order.
    pub fn version(&self) -> u64 {
        self.0.version
    }
}

impl From<(Arc<str>, u64)> for ReplicaRef {
    fn from((node, version): (Arc<str>, u64)) -> Self {
        Self::new(node, version)
    }
}

impl From<ReplicaRef> for (Arc<str>, u64) {
    fn from(replica: ReplicaRef) -> Self {
        (Arc::clone(replica.node()), replica.version())
    }
}

impl fmt::Debug for ReplicaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:x}", self.node(), self.version())
    }
}

/// One tracked presence: an owner's meta under a key in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(crate) replica: ReplicaRef,
    pub(crate) clock: u64,
    pub(crate) owner: Owner,
    pub(crate) since: u64,
    pub(crate) topic: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) meta: Meta,
}

impl Entry {
    /// The replica it was tracked on.
    pub fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    /// Its owner, an id of the node it was tracked on.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Its topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Its key.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Its meta, with `phx_ref`.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its share of a message, in bytes: the texts plus the numbers and punctuation around them.
    pub(crate) fn wire_size(&self) -> usize {
        self.topic.len() + self.key.len() + self.meta.as_str().len() + 64
    }

    /// The order of a topic's entries on every node: by key, then oldest first. An update keeps the place.
    pub(crate) fn listing_order(&self, other: &Self) -> Ordering {
        let by_age =
            || (self.since, &self.replica, self.clock).cmp(&(other.since, &other.replica, other.clock));
        self.key.cmp(&other.key).then_with(by_age)
    }
}
