use std::fmt;
use std::hash::BuildHasher;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foldhash::quality::FixedState;

use super::config::TrackerStart;

/// The unique name of one version of a presence, `phx_ref` on the wire (protocol §17.1).
///
/// Displayed as Phoenix does: 16 characters of URL-safe base64 for 8 bytes of Unix time in nanoseconds, 2 bytes naming
/// node and shard and 2 bytes of a counter. Peers treat it as an opaque string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhxRef([u8; 12]);

impl fmt::Display for PhxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for PhxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes references from the time of each call, the identity of the shard and a counter.
#[derive(Debug)]
pub(crate) struct RefSource {
    started: Instant,
    started_nanos: u64,
    last_nanos: u64,
    origin: u16,
    counter: u16,
}

impl RefSource {
    pub(crate) fn new(start: &TrackerStart) -> Self {
        let [.., a, b] = FixedState::default().hash_one((&start.node, start.shard)).to_be_bytes();
        let [.., c, d] = FixedState::default().hash_one(start.seed).to_be_bytes();
        Self {
            started: start.now,
            started_nanos: start.unix_nanos,
            last_nanos: 0,
            origin: u16::from_be_bytes([a, b]),
            counter: u16::from_be_bytes([c, d]),
        }
    }

    /// The next reference and its time stamp, which grows strictly from call to call.
    pub(crate) fn next(&mut self, now: Instant) -> (PhxRef, u64) {
        let elapsed = now.saturating_duration_since(self.started).as_nanos();
        let nanos = self.started_nanos.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX));
        self.last_nanos = nanos.max(self.last_nanos.saturating_add(1));
        self.counter = self.counter.wrapping_add(1);

        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.last_nanos.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.origin.to_be_bytes());
        bytes[10..].copy_from_slice(&self.counter.to_be_bytes());
        (PhxRef(bytes), self.last_nanos)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::presence::tracker::fixtures::start;

    #[test]
    fn x_30_sixteen_url_safe_characters_starting_with_the_time() {
        let mut begin = start("a");
        begin.unix_nanos = 0x18ea_c0fa_af66_e73e;
        let text = RefSource::new(&begin).next(begin.now).0.to_string();
        assert_eq!(text.len(), 16);
        assert_eq!(&text[..10], "GOrA-q9m5z");
        assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    }

    #[test]
    fn unique_and_growing_even_when_time_stands_still() {
        let begin = start("a");
        let mut source = RefSource::new(&begin);
        let refs: Vec<_> = (0..100_000).map(|_| source.next(begin.now).0).collect();
        assert!(refs.is_sorted());
        assert_eq!(refs.iter().collect::<BTreeSet<_>>().len(), refs.len());
    }
}
