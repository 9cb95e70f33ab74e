use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Counters;

/// Where an engine says whether it is connected. While it is not, publishers are refused.
#[derive(Debug, Clone)]
pub struct Link {
    counters: Arc<Counters>,
}

impl Link {
    pub(in crate::pubsub) fn new(counters: Arc<Counters>) -> Self {
        Self { counters }
    }

    /// Publications go out and subscriptions are made from here on.
    pub fn up(&self) {
        self.counters.connected.store(true, Ordering::Relaxed);
    }

    /// The connection is lost: until it is up again, broadcasts of others are missed, which counts as one gap.
    pub fn down(&self) {
        if self.counters.connected.swap(false, Ordering::Relaxed) {
            self.gap();
        }
    }

    /// Broadcasts of others may have been missed while the connection was up, for instance because a buffer was full.
    pub fn gap(&self) {
        self.counters.gaps.add(1);
    }

    /// Whether the engine is connected.
    pub fn is_up(&self) -> bool {
        self.counters.connected.load(Ordering::Relaxed)
    }
}
