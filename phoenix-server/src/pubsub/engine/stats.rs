use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What became of the broadcasts between this node and others, counted since the start (FEATURES O).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSubStats {
    /// Whether the engine is connected. Never for a PubSub without one.
    pub connected: bool,
    /// Broadcasts that the engine accepted.
    pub published: u64,
    /// Broadcasts that were refused because the engine was not connected or its queue was full. Their publishers were
    /// told.
    pub refused: u64,
    /// Broadcasts that were accepted but could not be sent.
    pub unsent: u64,
    /// Broadcasts that came from other nodes.
    pub received: u64,
    /// How often this node may have missed broadcasts of others: each loss of the connection, and each time the
    /// engine dropped some because this node was too slow.
    pub gaps: u64,
    /// Messages of other programs, or damaged.
    pub malformed: u64,
    /// Messages of a later release that this one cannot read.
    pub unknown_versions: u64,
    /// Broadcasts from other nodes that a client's protocol version could not represent.
    pub undeliverable: u64,
}

#[derive(Debug, Default)]
pub(in crate::pubsub) struct Counters {
    pub(super) connected: AtomicBool,
    pub(super) published: Counter,
    pub(super) refused: Counter,
    pub(super) unsent: Counter,
    pub(super) received: Counter,
    pub(super) gaps: Counter,
    pub(super) malformed: Counter,
    pub(super) unknown_versions: Counter,
    pub(super) undeliverable: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(in crate::pubsub) fn read(&self) -> PubSubStats {
        PubSubStats {
            connected: self.connected.load(Ordering::Relaxed),
            published: self.published.get(),
            refused: self.refused.get(),
            unsent: self.unsent.get(),
            received: self.received.get(),
            gaps: self.gaps.get(),
            malformed: self.malformed.get(),
            unknown_versions: self.unknown_versions.get(),
            undeliverable: self.undeliverable.get(),
        }
    }
}
