use std::sync::Arc;
use std::time::{Duration, Instant};

/// Periods and limits of a tracker; the defaults are Phoenix's (protocol §17.4).
///
/// Nodes of one cluster may differ in all of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrackerConfig {
    /// Time between two ticks. Every tick sends the changes since the last one. Default 1.5 s.
    pub broadcast_period: Duration,
    /// Ticks without a change that pass before an empty heartbeat is sent. Default 10.
    pub max_silent_periods: u32,
    /// A replica not heard of for longer is down: its presences are hidden.
    /// Default (`None`): `broadcast_period` × `max_silent_periods` × 2, that is 30 s.
    pub down_period: Option<Duration>,
    /// A replica not heard of for longer is forgotten. Default 20 minutes.
    pub permdown_period: Duration,
    /// Every how many ticks the clocks of the others are compared with our own. Default 2.
    pub clock_sample_periods: u32,
    /// How many past changes are remembered per replica so that a node that missed some gets only those; one that is
    /// further behind gets the whole set. In changes (settled merges plus removed presences). Default 10,000.
    pub max_delta_size: usize,
    /// Largest meta, in bytes of JSON including its `phx_ref`. Default 64 KiB.
    pub max_meta_bytes: usize,
    /// Deltas are split so that a message stays near this size, in bytes. A single larger meta still goes out.
    /// Default 256 KiB.
    pub max_message_bytes: usize,
    /// How many other replicas are followed; heartbeats of further ones are ignored and counted. Default 1,024.
    pub max_replicas: usize,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            broadcast_period: Duration::from_millis(1_500),
            max_silent_periods: 10,
            down_period: None,
            permdown_period: Duration::from_secs(1_200),
            clock_sample_periods: 2,
            max_delta_size: 10_000,
            max_meta_bytes: 64 * 1024,
            max_message_bytes: 256 * 1024,
            max_replicas: 1_024,
        }
    }
}

impl TrackerConfig {
    /// The down period in force: the one set, or the default derived from the others.
    pub fn effective_down_period(&self) -> Duration {
        let derived = || self.broadcast_period.saturating_mul(self.max_silent_periods).saturating_mul(2);
        self.down_period.unwrap_or_else(derived)
    }

    /// Checks that the periods fit together, as [`Tracker::new`](super::Tracker::new) does.
    pub fn validate(&self) -> Result<(), TrackerConfigError> {
        let down_period = self.effective_down_period();
        if self.broadcast_period.is_zero() {
            Err(TrackerConfigError::NoBroadcastPeriod)
        } else if down_period < self.broadcast_period.saturating_mul(2) {
            Err(TrackerConfigError::DownPeriodTooShort)
        } else if self.permdown_period <= down_period {
            Err(TrackerConfigError::PermdownPeriodTooShort)
        } else {
            Ok(())
        }
    }
}

/// Periods that do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerConfigError {
    /// The tracker would tick without pause.
    #[error("broadcast_period must be longer than zero")]
    NoBroadcastPeriod,
    /// One lost heartbeat would count as a dead node.
    #[error("down_period must be at least twice as large as the broadcast_period")]
    DownPeriodTooShort,
    /// Nodes would be forgotten before they count as down.
    #[error("permdown_period must be at least larger than the down_period")]
    PermdownPeriodTooShort,
}

/// The facts a tracker starts from: who it is, when, and what chance said.
#[derive(Clone, Debug)]
pub struct TrackerStart {
    /// Name of the node, unique in the cluster and the same after a restart.
    pub node: Arc<str>,
    /// Number of the shard; equal numbers gossip with each other.
    pub shard: u32,
    /// A random number, different for every start.
    pub seed: u64,
    /// The present.
    pub now: Instant,
    /// The Unix time at `now`, in nanoseconds. It need not agree with other nodes.
    pub unix_nanos: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_phoenix_s() {
        let config = TrackerConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.effective_down_period(), Duration::from_secs(30));
    }

    #[test]
    fn tsh_01_down_period_below_two_broadcast_periods_is_refused() {
        let mut config =
            TrackerConfig { down_period: Some(Duration::from_millis(2_999)), ..TrackerConfig::default() };
        assert_eq!(config.validate(), Err(TrackerConfigError::DownPeriodTooShort));
        assert_eq!(
            TrackerConfigError::DownPeriodTooShort.to_string(),
            "down_period must be at least twice as large as the broadcast_period"
        );
        config.down_period = Some(Duration::from_secs(3));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn tsh_02_permdown_period_not_above_down_period_is_refused() {
        let mut config =
            TrackerConfig { permdown_period: Duration::from_secs(30), ..TrackerConfig::default() };
        assert_eq!(config.validate(), Err(TrackerConfigError::PermdownPeriodTooShort));
        assert_eq!(
            TrackerConfigError::PermdownPeriodTooShort.to_string(),
            "permdown_period must be at least larger than the down_period"
        );
        config.permdown_period = Duration::from_millis(30_001);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn a_zero_broadcast_period_is_refused() {
        let config = TrackerConfig { broadcast_period: Duration::ZERO, ..TrackerConfig::default() };
        assert_eq!(config.validate(), Err(TrackerConfigError::NoBroadcastPeriod));
    }
}
