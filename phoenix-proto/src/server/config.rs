use std::time::Duration;

/// Limits of one connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How many channels may be joined at once (FEATURES A10); 100 by default.
    pub max_channels: usize,
    /// After how long without a received byte the connection is closed, `None` for never (FEATURES D16);
    /// 60 s by default.
    pub idle_timeout: Option<Duration>,
    /// How long a duplicate join waits for the old channel to end (protocol §9.4); 5 s by default.
    pub replace_timeout: Duration,
    /// How many messages may be with channels before [`wants_read`](super::Connection::wants_read) turns
    /// false; 256 by default.
    pub max_in_flight: usize,
    /// How many frames may wait to be written before [`wants_read`](super::Connection::wants_read) turns
    /// false; 1024 by default.
    pub max_transmits: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_channels: 100,
            idle_timeout: Some(Duration::from_secs(60)),
            replace_timeout: Duration::from_secs(5),
            max_in_flight: 256,
            max_transmits: 1024,
        }
    }
}
