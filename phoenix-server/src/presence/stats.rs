use std::sync::atomic::{AtomicU64, Ordering};

use phoenix_proto::presence::TrackerStats;

/// What a [`Presence`](super::Presence) ignored, lost or could not do, counted since its start (FEATURES O).
///
/// Messages between nodes may get lost without harm: what is missing is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceStats {
    /// Messages of other nodes that could not be read.
    pub malformed: u64,
    /// Messages of a later release that this one cannot read.
    pub unknown_versions: u64,
    /// News of nodes that have not introduced themselves.
    pub unknown_replicas: u64,
    /// Nodes beyond [`TrackerConfig::max_replicas`](phoenix_proto::presence::TrackerConfig::max_replicas).
    pub refused_replicas: u64,
    /// Messages for other nodes that the PubSub refused.
    pub unsent: u64,
    /// Messages of other nodes that were dropped because this one was too slow.
    pub lost: u64,
    /// Calls of the fetch hook that panicked or took too long; their diffs were published without its fields.
    pub failed_fetches: u64,
    /// Diffs that were put together with their predecessor because too many waited to be published.
    pub merged_diffs: u64,
    /// Diffs that a client's protocol version could not represent.
    pub undeliverable: u64,
}

/// The counters that the tracker does not keep itself.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) malformed: Counter,
    pub(super) unsent: Counter,
    pub(super) lost: Counter,
    pub(super) failed_fetches: Counter,
    pub(super) merged_diffs: Counter,
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

impl PresenceStats {
    pub(super) fn add(&mut self, tracker: TrackerStats, counters: &Counters) {
        self.malformed += tracker.malformed + counters.malformed.get();
        self.unknown_versions += tracker.unknown_versions;
        self.unknown_replicas += tracker.unknown_replicas;
        self.refused_replicas += tracker.refused_replicas;
        self.unsent += counters.unsent.get();
        self.lost += counters.lost.get();
        self.failed_fetches += counters.failed_fetches.get();
        self.merged_diffs += counters.merged_diffs.get();
        self.undeliverable += counters.undeliverable.get();
    }
}
