use std::time::Duration;

use phoenix_proto::Serializers;
use tracing::level_filters::LevelFilter;

use super::setters::{common_setters, timeout_setters};
use crate::http_facts::{CheckOrigin, ConnectInfoOptions};

/// Options of a transport of your own (FEATURES D7–D11, D16).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TransportOptions {
    /// The path below that of the mount, which may have several segments and `:name` variables.
    pub path: String,
    /// The serializers by version; V1 and V2 by default.
    pub serializers: Serializers,
    /// Which origins may connect; the endpoint's policy by default.
    pub check_origin: Option<CheckOrigin>,
    /// What `connect` is told about the request; nothing but the parameters by default.
    pub connect_info: ConnectInfoOptions,
    /// After how long without anything received a connection is closed; 60 s by default, `None` for never.
    pub timeout: Option<Duration>,
    /// How long nothing may be written while something waits to be; 30 s by default.
    pub write_timeout: Duration,
    /// The level at which connections are logged, in place of that of the socket (FEATURES D14).
    pub log: Option<LevelFilter>,
    /// The level at which every request is logged (FEATURES D9); `OFF` by default.
    pub transport_log: LevelFilter,
}

impl TransportOptions {
    /// The defaults of Phoenix for a transport at a path below that of the mount.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            serializers: Serializers::default(),
            check_origin: None,
            connect_info: ConnectInfoOptions::default(),
            timeout: Some(Duration::from_secs(60)),
            write_timeout: Duration::from_secs(30),
            log: None,
            transport_log: LevelFilter::OFF,
        }
    }

    common_setters!();
    timeout_setters!();
}
