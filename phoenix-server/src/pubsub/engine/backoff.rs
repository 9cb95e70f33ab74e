use std::time::Duration;

use crate::pubsub::node::random;

/// How long an engine waits before it connects again: twice as long after each failure, up to a limit, and a random
/// part less, so that the nodes of a cluster do not come all at once.
///
/// By default the first wait is at most 100 ms, the longest at most 5 s.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Waits that begin with `first` and end with `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// The next wait: between half of what it may be and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.longest);
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos / 2 + random() % (nanos / 2 + 1))
    }

    /// A connection has held for some time. One that is lost again at once must not begin anew, or a server that
    /// accepts connections and ends them would be asked without pause.
    pub(super) fn held(&mut self, time: Duration) {
        if time >= self.longest {
            self.next = self.first.min(self.longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_lose_at_most_half() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        for whole in [100, 200, 400, 500, 500] {
            let wait = backoff.next();
            assert!(
                wait >= Duration::from_millis(whole / 2) && wait <= Duration::from_millis(whole),
                "{wait:?}"
            );
        }
        backoff.held(Duration::from_millis(499));
        assert!(backoff.next() >= Duration::from_millis(250));
        backoff.held(Duration::from_millis(500));
        assert!(backoff.next() <= Duration::from_millis(100));
    }

    #[test]
    fn extreme_waits_are_waits() {
        assert_eq!(Backoff::new(Duration::ZERO, Duration::MAX).next(), Duration::ZERO);
        assert!(Backoff::new(Duration::MAX, Duration::ZERO).next() == Duration::ZERO);
        assert!(Backoff::new(Duration::MAX, Duration::MAX).next() > Duration::from_secs(1));
    }
}
