//! The books of one run: what was sent, what must come, what came.

use std::time::{Duration, Instant};

use super::latency::Latency;

/// What a mode counts. Everything sent raises `expected`; whatever is still missing at the end is lost.
pub(crate) struct Tally {
    /// Messages that may still be sent.
    pub(crate) budget: u64,
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// Operations completed in the measured window.
    pub(crate) done: u64,
    pub(crate) latency: Latency,
    pub(crate) misordered: u64,
    /// Refused, garbled or unasked-for messages.
    pub(crate) unexpected: u64,
    /// Connections the server ended.
    pub(crate) disconnected: u64,
}

impl Tally {
    /// Nothing may be sent yet.
    pub(crate) fn new() -> Self {
        Self {
            budget: 0,
            expected: 0,
            received: 0,
            done: 0,
            latency: Latency::new(),
            misordered: 0,
            unexpected: 0,
            disconnected: 0,
        }
    }

    /// Takes one message off the budget; `false` when it is spent.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        left
    }

    /// One operation is complete.
    pub(crate) fn done(&mut self, sent_at: Instant, now: Instant) {
        self.done += 1;
        self.latency.record(now.saturating_duration_since(sent_at));
    }

    /// Forgets the operations of the warm-up, but not what is expected, nor any fault.
    pub(crate) fn open_window(&mut self) {
        self.done = 0;
        self.latency.clear();
    }

    /// Whether everything sent was answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.received >= self.expected
    }

    pub(crate) fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }
}

/// Notices that a count has stopped growing.
pub(crate) struct Stall {
    patience: Duration,
    seen: u64,
    since: Instant,
}

impl Stall {
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self { patience, seen: 0, since: now }
    }

    /// Whether `count` has been the same for longer than the patience.
    pub(crate) fn is_over(&mut self, count: u64, now: Instant) -> bool {
        if count != self.seen {
            (self.seen, self.since) = (count, now);
        }
        now.saturating_duration_since(self.since) > self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once() {
        let mut tally = Tally::new();
        tally.budget = 2;
        assert_eq!([tally.spend(), tally.spend(), tally.spend()], [true, true, false]);
    }

    #[test]
    fn what_does_not_come_is_lost() {
        let mut tally = Tally::new();
        tally.expected = 3;
        tally.received = 2;
        assert!(!tally.is_settled());
        assert_eq!(tally.lost(), 1);
        tally.open_window();
        assert_eq!(tally.lost(), 1, "the warm-up's losses are losses");
    }

    #[test]
    fn only_a_standstill_is_a_stall() {
        let start = Instant::now();
        let mut stall = Stall::new(Duration::from_secs(1), start);
        assert!(!stall.is_over(1, start + Duration::from_secs(5)));
        assert!(!stall.is_over(1, start + Duration::from_secs(6)));
        assert!(stall.is_over(1, start + Duration::from_secs(7)));
    }
}
