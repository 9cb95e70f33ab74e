use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Owner, ReplicaRef};
use super::meta::Meta;

/// What happened to one replica's entries between two clocks, or all of them (protocol §17.6).
///
/// Whoever merges it knows afterwards every dot after `start` up to `end`: those in `values` or `kept` live, the others
/// are dead, and so are the older dots in `dead`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WireDelta", into = "WireDelta")]
pub struct ReplicaDelta {
    /// Whose history this is.
    pub replica: ReplicaRef,
    /// The clock before the first dot.
    pub start: u64,
    /// The clock of the last dot.
    pub end: u64,
    /// No death told here is the effect of a change after this clock. Beyond `end` if the sender knew of some early.
    pub until: u64,
    /// Dots up to `start` that are dead.
    pub dead: Vec<u64>,
    /// Sorted dots that live but whose entries are in other parts of a split delta.
    pub kept: Vec<u64>,
    /// The living entries, in the order of their clocks. In all but the last part of a split delta they are beyond
    /// `end`.
    pub values: Vec<Arc<Entry>>,
}

impl ReplicaDelta {
    /// Its share of a message, in bytes.
    pub(crate) fn wire_size(&self) -> usize {
        100 + (self.dead.len() + self.kept.len()) * 8
            + self.values.iter().map(|entry| entry.wire_size()).sum::<usize>()
    }

    /// Cuts the delta into parts of about `budget` bytes that may be merged in any order.
    ///
    /// All but the last carry entries only. A span tells of deaths, and whoever knows a dot must know of every death
    /// up to it, so the span stays whole in the last part.
    pub(crate) fn split(mut self, budget: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut group = Vec::new();
        let mut size = 0;
        for entry in std::mem::take(&mut self.values) {
            size += entry.wire_size();
            if size > budget && !group.is_empty() {
                size = entry.wire_size();
                self.kept.extend(group.iter().map(|entry: &Arc<Entry>| entry.clock));
                parts.push(self.entries_only(std::mem::take(&mut group)));
            }
            group.push(entry);
        }
        self.values = group;
        parts.push(self);
        parts
    }

    fn entries_only(&self, values: Vec<Arc<Entry>>) -> Self {
        let (replica, start) = (self.replica.clone(), self.start);
        Self { replica, start, end: start, until: start, dead: Vec::new(), kept: Vec::new(), values }
    }
}

/// The serialised form: entries leave out the replica, which is written once.
#[derive(Serialize, Deserialize)]
struct WireDelta {
    replica: ReplicaRef,
    start: u64,
    end: u64,
    until: u64,
    dead: Vec<u64>,
    kept: Vec<u64>,
    values: Vec<WireEntry>,
}

#[derive(Serialize, Deserialize)]
struct WireEntry(u64, Owner, u64, Arc<str>, Arc<str>, Meta);

impl From<ReplicaDelta> for WireDelta {
    fn from(delta: ReplicaDelta) -> Self {
        let wire = |entry: &Arc<Entry>| {
            let Entry { clock, owner, since, topic, key, meta, .. } = Entry::clone(entry);
            WireEntry(clock, owner, since, topic, key, meta)
        };
        Self {
            values: delta.values.iter().map(wire).collect(),
            replica: delta.replica,
            start: delta.start,
            end: delta.end,
            until: delta.until,
            dead: delta.dead,
            kept: delta.kept,
        }
    }
}

impl From<WireDelta> for ReplicaDelta {
    fn from(wire: WireDelta) -> Self {
        let replica = wire.replica;
        let mut topics = BTreeSet::<Arc<str>>::new();
        let mut share = |topic: Arc<str>| {
            topics.get(&topic).cloned().unwrap_or_else(|| {
                topics.insert(Arc::clone(&topic));
                topic
            })
        };
        let entry = |WireEntry(clock, owner, since, topic, key, meta)| {
            let topic = share(topic);
            Arc::new(Entry { replica: replica.clone(), clock, owner, since, topic, key, meta })
        };
        let mut values: Vec<_> = wire.values.into_iter().map(entry).collect();
        // The order is part of the contract, and a peer may break it.
        values.sort_by_key(|entry| entry.clock);
        values.dedup_by_key(|entry| entry.clock);
        let mut kept = wire.kept;
        kept.sort_unstable();
        Self { replica, start: wire.start, end: wire.end, until: wire.until, dead: wire.dead, kept, values }
    }
}
