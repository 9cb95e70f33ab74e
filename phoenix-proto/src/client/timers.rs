//! Deadlines by name, in the order in which they fall due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The pending deadlines of one machine; `K` says what is due.
#[derive(Debug)]
pub(super) struct Timers<K> {
    pending: BTreeMap<(Instant, u64), K>,
    armed: u64,
}

/// Names one armed deadline, to disarm it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerId(Option<(Instant, u64)>);

impl<K> Timers<K> {
    /// Arms a deadline. A delay beyond what an `Instant` can hold never falls due.
    pub(super) fn set(&mut self, key: K, delay: Duration, now: Instant) -> TimerId {
        self.armed += 1;
        let slot = now.checked_add(delay).map(|at| (at, self.armed));
        if let Some(slot) = slot {
            self.pending.insert(slot, key);
        }
        TimerId(slot)
    }

    /// Disarms a deadline; harmless when it has fallen due already.
    pub(super) fn cancel(&mut self, timer: TimerId) {
        if let TimerId(Some(slot)) = timer {
            self.pending.remove(&slot);
        }
    }

    /// Disarms the deadline in a slot and empties the slot.
    pub(super) fn clear(&mut self, slot: &mut Option<TimerId>) {
        if let Some(timer) = slot.take() {
            self.cancel(timer);
        }
    }

    /// When the next deadline falls due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pending.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first deadline that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let entry = self.pending.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { pending: BTreeMap::new(), armed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_fall_due_in_order_and_equal_ones_as_armed() {
        let now = start();
        let mut timers = Timers::default();
        let second = Duration::from_secs(1);
        timers.set("late", second * 2, now);
        timers.set("first", second, now);
        timers.set("second", second, now);
        let gone = timers.set("gone", second, now);
        timers.cancel(gone);
        timers.set("never", Duration::MAX, now);
        assert_eq!(timers.next(), Some(now + second));
        assert_eq!(timers.pop_due(now), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(now + second)).collect();
        assert_eq!(due, ["first", "second"]);
        assert_eq!(timers.next(), Some(now + second * 2));
    }

    /// Where the virtual time of a test begins.
    #[expect(clippy::disallowed_methods, reason = "an instant cannot be made up; tests only add to it")]
    fn start() -> Instant {
        Instant::now()
    }
}
