use std::time::Instant;

use crate::presence::config::TrackerStart;

/// The start of a node's first life, at some fixed point of a virtual time.
pub(crate) fn start(node: &str) -> TrackerStart {
    TrackerStart { node: node.into(), shard: 0, seed: 1, now: base(), unix_nanos: 1_795_459_584_000_000_000 }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an instant can only be had from the clock; only differences matter"
)]
pub(crate) fn base() -> Instant {
    Instant::now()
}
