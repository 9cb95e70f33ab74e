use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use phoenix_proto::Serializers;
use phoenix_proto::longpoll::TextOnly;
use tracing::level_filters::LevelFilter;

use super::admission::{AcceptError, Admission, Shared};
use super::{Endpoint, EndpointError, TransportOptions};
use crate::QueueLimits;
use crate::driver::Accepted;
use crate::http_facts::{CheckOrigin, ConnectInfoOptions, HttpRequest, Params, PathParams};

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

    /// Sets the path below that of the mount.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the serializers.
    pub fn serializers(mut self, serializers: Serializers) -> Self {
        self.serializers = serializers;
        self
    }

    /// Sets which origins may connect.
    pub fn check_origin(mut self, policy: CheckOrigin) -> Self {
        self.check_origin = Some(policy);
        self
    }

    /// Sets what `connect` is told about the request that opens a session.
    pub fn connect_info(mut self, options: ConnectInfoOptions) -> Self {
        self.connect_info = options;
        self
    }

    /// Sets the level at which the connections of this transport are logged.
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log = Some(level);
        self
    }

    /// Sets the level at which each request is logged.
    pub fn transport_log(mut self, level: LevelFilter) -> Self {
        self.transport_log = level;
        self
    }

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

/// A request of a long-poll client, not decided yet: `phoenix_adapter_longpoll::answer` does that, with the body.
#[must_use = "the request has to be answered"]
pub struct LongPoll {
    pub(super) endpoint: Endpoint,
    pub(super) mount: Arc<LongPollMount>,
    pub(super) path: PathParams,
    pub(super) request: HttpRequest,
}

impl LongPoll {
    /// The endpoint that the request is for.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The request.
    pub fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// The options of the mount.
    pub fn options(&self) -> &LongPollOptions {
        &self.mount.options
    }

    /// How much may wait for one client.
    pub fn queue(&self) -> &QueueLimits {
        self.mount.admission.queue()
    }

    /// The parameters of the request, if its origin may connect.
    ///
    /// # Errors
    /// [`AcceptError::Params`] and [`AcceptError::Origin`].
    pub fn params(&self) -> Result<Params, AcceptError> {
        self.mount.admission.params(&self.path, &self.request)
    }

    /// Asks the socket whether it accepts a new session.
    ///
    /// # Errors
    /// [`AcceptError`] says why there is none.
    pub async fn accept(&self, params: Params) -> Result<Accepted, AcceptError> {
        self.mount.admission.connect(params, &self.request, None, self.endpoint.pubsub()).await
    }
}

impl fmt::Debug for LongPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = (self.request.method(), self.request.routed_path());
        f.debug_struct("LongPoll").field("request", &request).finish_non_exhaustive()
    }
}

/// The long-poll transport of a mount.
pub(super) struct LongPollMount {
    admission: Admission,
    options: LongPollOptions,
}

impl LongPollMount {
    pub(super) fn log_request(&self, request: &HttpRequest) {
        self.admission.log_request(request);
    }

    pub(super) fn new(options: &LongPollOptions, shared: &Shared<'_>) -> Result<Self, EndpointError> {
        let common = TransportOptions {
            path: options.path.clone(),
            serializers: options.serializers.map(|serializer| Arc::new(TextOnly::new(serializer))),
            check_origin: options.check_origin.clone(),
            connect_info: options.connect_info.clone(),
            // Sessions end by inactivity instead.
            timeout: None,
            log: options.log,
            transport_log: options.transport_log,
            ..TransportOptions::new("")
        };
        Ok(Self { admission: Admission::new("longpoll", common, shared)?, options: options.clone() })
    }
}
