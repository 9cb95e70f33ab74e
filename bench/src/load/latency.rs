//! Latencies of one run.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

const LONGEST: Duration = Duration::from_secs(60);

/// A histogram of durations to three digits, between a nanosecond and a minute.
#[derive(Clone)]
pub(crate) struct Latency(Histogram<u64>);

/// The percentiles that are reported, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// Half of all messages were at least as fast.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// 999 of 1000 were.
    pub p999: f64,
}

impl Latency {
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).expect("a minute of nanoseconds fits");
        Self(Histogram::new_with_max(longest, 3).expect("the bounds are constants"))
    }

    /// What lies beyond a minute counts as a minute.
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// `None` when nothing was recorded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        (!self.0.is_empty()).then(|| Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::new();
        assert_eq!(latency.percentiles(), None);
        for micros in 1..=1000 {
            latency.record(Duration::from_micros(micros));
        }
        let found = latency.percentiles().unwrap();
        for (found, wanted) in [(found.p50, 500.0), (found.p99, 990.0), (found.p999, 999.0)] {
            assert!((found - wanted).abs() <= wanted / 1000.0, "{found} is not {wanted} to three digits");
        }
        latency.clear();
        assert_eq!(latency.percentiles(), None);
    }

    #[test]
    fn what_is_too_long_is_kept_at_the_end() {
        let mut latency = Latency::new();
        latency.record(2 * LONGEST);
        assert!(latency.percentiles().unwrap().p50 >= 59e6);
    }
}
