//! How long to wait before the next attempt.

use std::time::{Duration, Instant};

use super::timers::{TimerId, Timers};

/// A table of delays by attempt, with optional jitter (protocol §19.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    steps: Vec<Duration>,
    rest: Duration,
    jitter_percent: u8,
}

impl Backoff {
    /// The delays before the first attempts, and the one before all later attempts.
    pub fn new(steps: impl IntoIterator<Item = Duration>, rest: Duration) -> Self {
        Self { steps: steps.into_iter().collect(), rest, jitter_percent: 0 }
    }

    /// The reconnect delays of phoenix.js: 10, 50, 100, 150, 200, 250, 500, 1000, 2000, then 5000 ms.
    pub fn reconnect() -> Self {
        let steps = [10, 50, 100, 150, 200, 250, 500, 1000, 2000].map(Duration::from_millis);
        Self::new(steps, Duration::from_secs(5))
    }

    /// The rejoin delays of phoenix.js: 1, 2, 5, then 10 seconds.
    pub fn rejoin() -> Self {
        Self::new([1, 2, 5].map(Duration::from_secs), Duration::from_secs(10))
    }

    /// Lengthens every delay by a random part of itself, at most `percent`, so that many clients of a
    /// restarted server do not come back in step. phoenix.js has none.
    pub fn jitter(self, percent: u8) -> Self {
        Self { jitter_percent: percent, ..self }
    }

    /// The delay before attempt `attempt`, counted from 1; `random` decides the jitter.
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let delay = self.steps.get(index).copied().unwrap_or(self.rest);
        if self.jitter_percent == 0 {
            return delay;
        }
        let most = delay.saturating_mul(u32::from(self.jitter_percent)) / 100;
        // Of 2³² equal steps, so that the product stays within 128 bits.
        let part = most.as_nanos().saturating_mul(u128::from(random >> 32)) >> 32;
        delay.saturating_add(Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX)))
    }
}

/// The timer of phoenix.js: an attempt counts when it falls due, not when it is scheduled.
#[derive(Debug, Default)]
pub(super) struct Retry {
    tries: u32,
    timer: Option<TimerId>,
}

impl Retry {
    /// Arms the timer for the next attempt, in place of one already armed.
    pub(super) fn schedule<K>(
        &mut self,
        timers: &mut Timers<K>,
        key: K,
        backoff: &Backoff,
        random: u64,
        now: Instant,
    ) {
        timers.clear(&mut self.timer);
        self.timer = Some(timers.set(key, backoff.delay(self.tries.saturating_add(1), random), now));
    }

    /// Notes that the timer fell due.
    pub(super) fn fired(&mut self) {
        self.timer = None;
        self.tries = self.tries.saturating_add(1);
    }

    /// Starts the table over and disarms the timer.
    pub(super) fn reset<K>(&mut self, timers: &mut Timers<K>) {
        self.tries = 0;
        timers.clear(&mut self.timer);
    }

    /// Disarms the timer without starting the table over.
    pub(super) fn disarm<K>(&mut self, timers: &mut Timers<K>) {
        timers.clear(&mut self.timer);
    }
}

/// A sequence of numbers determined by its seed (SplitMix64); good enough to spread delays.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_phoenix_js() {
        let millis = |backoff: Backoff, attempts: u32| -> Vec<u128> {
            (1..=attempts).map(|attempt| backoff.delay(attempt, 0).as_millis()).collect()
        };
        assert_eq!(
            millis(Backoff::reconnect(), 11),
            [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000]
        );
        assert_eq!(millis(Backoff::rejoin(), 5), [1000, 2000, 5000, 10000, 10000]);
    }

    #[test]
    fn jitter_lengthens_within_its_part() {
        let backoff = Backoff::rejoin().jitter(50);
        let mut random = Random::new(7);
        let delays: Vec<_> = (0..100).map(|_| backoff.delay(1, random.next())).collect();
        assert!(delays.iter().all(|delay| (1000..1500).contains(&delay.as_millis())));
        assert!(delays.iter().any(|delay| delay.as_millis() > 1300));
        assert!(delays.iter().any(|delay| delay.as_millis() < 1200));
        assert_eq!(Backoff::new([], Duration::MAX).jitter(100).delay(9, u64::MAX), Duration::MAX);
    }
}
