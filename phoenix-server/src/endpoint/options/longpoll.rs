use std::time::Duration;

use phoenix_proto::Serializers;
use tracing::level_filters::LevelFilter;

use super::setters::common_setters;
use crate::http_facts::{CheckOrigin, ConnectInfoOptions};

/// Options of the long-poll transport (FEATURES D3, D7–D13, D25–D27).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LongPollOptions {
    /// The path below that of the mount, which may have several segments and `:name` variables
    /// (FEATURES D7); `/longpoll` by default.
    pub path: String,
    /// The serializers by version (FEATURES D8); V1 and V2 by default.
    pub serializers: Serializers,
    /// Which origins may connect (FEATURES D10); the endpoint's policy by default.
    pub check_origin: Option<CheckOrigin>,
    /// What `connect` is told about the request that opens a session (FEATURES D11, D13); nothing but the
    /// parameters by default.
    pub connect_info: ConnectInfoOptions,
    /// The level at which the connections of this transport are logged (FEATURES D14); that of the socket by default.
    pub log: Option<LevelFilter>,
    /// The level at which each request is logged (FEATURES D9); off by default.
    pub transport_log: LevelFilter,
    /// How long a poll waits for messages, and a POST until it is dealt with (FEATURES D25); 10 s by default.
    /// A session that is not polled for one and a half of it, measured as often, ends.
    pub window: Duration,
    /// How long the node that holds a session may take to answer a request that reached another one
    /// (FEATURES D26); 2 s by default.
    pub pubsub_timeout: Duration,
    /// How old the token of a session may get, and with it the session (FEATURES D27); two weeks by default.
    pub max_age: Duration,
    /// The largest body of a POST in bytes (FEATURES H14); 8,000,000 by default.
    pub max_body_size: usize,
}

impl Default for LongPollOptions {
    fn default() -> Self {
        Self {
            path: "/longpoll".to_owned(),
            serializers: Serializers::default(),
            check_origin: None,
            connect_info: ConnectInfoOptions::default(),
            log: None,
            transport_log: LevelFilter::OFF,
            window: Duration::from_secs(10),
            pubsub_timeout: Duration::from_secs(2),
            max_age: Duration::from_secs(1_209_600),
            max_body_size: 8_000_000,
        }
    }
}

impl LongPollOptions {
    /// The defaults of Phoenix.
    pub fn new() -> Self {
        Self::default()
    }

    common_setters!();

    /// Sets how long a poll waits for messages.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long another node may take to answer for its session.
    pub fn pubsub_timeout(mut self, timeout: Duration) -> Self {
        self.pubsub_timeout = timeout;
        self
    }

    /// Sets how old the token of a session may get.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets the largest body of a POST in bytes.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }
}
