use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use phoenix_proto::Serializers;
use tracing::level_filters::LevelFilter;

use super::{DrainOptions, Drainer, LongPollOptions};
use crate::http_facts::{CheckOrigin, ConnectInfoOptions};
use crate::websocket::DeflateOptions;
use crate::{QueueLimits, Refused};

/// How a socket is mounted (FEATURES D2–D6).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SocketOptions {
    /// The WebSocket transport, on by default (FEATURES D2).
    pub websocket: Option<WebSocketOptions>,
    /// The long-poll transport, off by default (FEATURES D3). The adapters serve it beside the WebSocket.
    pub longpoll: Option<LongPollOptions>,
    /// Transports of your own by name, for [`Endpoint::accept`](crate::Endpoint::accept); none by default.
    pub transports: Vec<(&'static str, TransportOptions)>,
    /// Whether clients may send a token outside of the parameters, which
    /// [`ConnectInfo::auth_token`](crate::ConnectInfo) then has (FEATURES D5).
    pub auth_token: bool,
    /// How many channels one connection may have (FEATURES A10); 100 by default.
    pub max_channels: usize,
    /// How much may wait for one client.
    pub queue: QueueLimits,
    /// How connections are closed when the server shuts down (FEATURES D4, I).
    pub drainer: Drainer,
    /// How long channels may take for their last callbacks when their connection is gone (FEATURES B32); 5 s by default.
    pub terminate_timeout: Duration,
    /// The level at which connections are logged (FEATURES A8); `INFO` by default, `OFF` for not at all.
    pub log: LevelFilter,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            websocket: Some(WebSocketOptions::default()),
            longpoll: None,
            transports: Vec::new(),
            auth_token: false,
            max_channels: 100,
            queue: QueueLimits::default(),
            drainer: Drainer::default(),
            terminate_timeout: Duration::from_secs(5),
            log: LevelFilter::INFO,
        }
    }
}

impl SocketOptions {
    /// The defaults of Phoenix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the options of the WebSocket transport.
    pub fn websocket(mut self, options: WebSocketOptions) -> Self {
        self.websocket = Some(options);
        self
    }

    /// Turns the WebSocket transport off; its path then belongs to the application.
    pub fn without_websocket(mut self) -> Self {
        self.websocket = None;
        self
    }

    /// Turns the long-poll transport on, with these options.
    pub fn longpoll(mut self, options: LongPollOptions) -> Self {
        self.longpoll = Some(options);
        self
    }

    /// Adds a transport of your own, for [`Endpoint::accept`](crate::Endpoint::accept). The name is what
    /// [`Context::transport`](crate::Context::transport) and the log call it.
    pub fn transport(mut self, name: &'static str, options: TransportOptions) -> Self {
        self.transports.push((name, options));
        self
    }

    /// Lets clients send a token outside of the parameters (FEATURES D5).
    pub fn auth_token(mut self, enabled: bool) -> Self {
        self.auth_token = enabled;
        self
    }

    /// Sets how many channels one connection may have (FEATURES A10).
    pub fn max_channels(mut self, limit: usize) -> Self {
        self.max_channels = limit;
        self
    }

    /// Sets how connections are closed when the server shuts down.
    pub fn drainer(mut self, options: DrainOptions) -> Self {
        self.drainer = Drainer::Fixed(options);
        self
    }

    /// Sets a function that is asked when the server shuts down how connections are closed (FEATURES I6).
    pub fn drainer_from(mut self, options: impl Fn() -> DrainOptions + Send + Sync + 'static) -> Self {
        self.drainer = Drainer::Dynamic(Arc::new(options));
        self
    }

    /// Leaves the connections alone when the server shuts down: they end with it (FEATURES I5).
    pub fn without_drainer(mut self) -> Self {
        self.drainer = Drainer::Off;
        self
    }

    /// Sets how long channels may take for their last callbacks when their connection is gone (FEATURES B32).
    pub fn terminate_timeout(mut self, timeout: Duration) -> Self {
        self.terminate_timeout = timeout;
        self
    }

    /// Sets the level at which connections are logged, `OFF` for not at all (FEATURES A8).
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log = level;
        self
    }

    /// Sets how much may wait for one client.
    pub fn queue(mut self, limits: QueueLimits) -> Self {
        self.queue = limits;
        self
    }
}

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

    /// Sets what `connect` is told about the request.
    pub fn connect_info(mut self, options: ConnectInfoOptions) -> Self {
        self.connect_info = options;
        self
    }

    /// Sets after how long without anything received a connection is closed, `None` for never.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the level at which connections are logged, in place of that of the socket (FEATURES D14).
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log = Some(level);
        self
    }

    /// Sets the level at which every request is logged (FEATURES D9), with its path but without its query.
    pub fn transport_log(mut self, level: LevelFilter) -> Self {
        self.transport_log = level;
        self
    }

    /// Sets how long nothing may be written while something waits to be.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }
}

/// Options of the WebSocket transport (FEATURES D7–D24).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WebSocketOptions {
    /// The path below that of the mount, which may have several segments and `:name` variables
    /// (FEATURES D7); `/websocket` by default.
    pub path: String,
    /// The serializers by version (FEATURES D8); V1 and V2 by default.
    pub serializers: Serializers,
    /// Which origins may connect (FEATURES D10); the endpoint's policy by default.
    pub check_origin: Option<CheckOrigin>,
    /// What `connect` is told about the request (FEATURES D11, D13); nothing but the parameters by default.
    pub connect_info: ConnectInfoOptions,
    /// After how long without a received byte a connection is closed (FEATURES D16); 60 s by default, `None`
    /// for never.
    pub timeout: Option<Duration>,
    /// The largest frame in bytes, header included (FEATURES D17); 10,000,000 by default.
    pub max_frame_size: usize,
    /// The largest message of several frames in bytes; 8,000,000 by default.
    pub max_message_size: usize,
    /// Whether clients may negotiate permessage-deflate (FEATURES D19); off by default.
    pub compress: bool,
    /// How messages are compressed with those who do (FEATURES D24).
    pub deflate: DeflateOptions,
    /// The subprotocols in order of preference, `None` to ignore what clients offer (FEATURES D20).
    pub subprotocols: Option<Vec<String>>,
    /// What answers a request that `connect` refused with a reason (FEATURES D21); 403 by default.
    pub error_handler: Option<ErrorHandler>,
    /// How long nothing may be written while something waits to be; 30 s by default.
    pub write_timeout: Duration,
    /// The level at which connections are logged, in place of that of the socket (FEATURES D14).
    pub log: Option<LevelFilter>,
    /// The level at which every request is logged (FEATURES D9); `OFF` by default.
    pub transport_log: LevelFilter,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self {
            path: "/websocket".to_owned(),
            serializers: Serializers::default(),
            check_origin: None,
            connect_info: ConnectInfoOptions::default(),
            timeout: Some(Duration::from_secs(60)),
            max_frame_size: 10_000_000,
            max_message_size: 8_000_000,
            compress: false,
            deflate: DeflateOptions::default(),
            subprotocols: None,
            error_handler: None,
            write_timeout: Duration::from_secs(30),
            log: None,
            transport_log: LevelFilter::OFF,
        }
    }
}

impl WebSocketOptions {
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

    /// Sets what `connect` is told about the request.
    pub fn connect_info(mut self, options: ConnectInfoOptions) -> Self {
        self.connect_info = options;
        self
    }

    /// Sets after how long without a received byte a connection is closed, `None` for never.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the largest frame in bytes, header included.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// Sets the largest message of several frames in bytes.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Lets clients negotiate permessage-deflate.
    pub fn compress(mut self, enabled: bool) -> Self {
        self.compress = enabled;
        self
    }

    /// Lets clients negotiate permessage-deflate, with these options (FEATURES D19, D24).
    pub fn deflate(mut self, options: DeflateOptions) -> Self {
        self.compress = true;
        self.deflate = options;
        self
    }

    /// Sets the subprotocols in order of preference.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what answers a request that `connect` refused with a reason.
    pub fn error_handler(
        mut self,
        handler: impl Fn(&Refused) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.error_handler = Some(ErrorHandler(Arc::new(handler)));
        self
    }

    /// Sets the level at which connections are logged, in place of that of the socket (FEATURES D14).
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log = Some(level);
        self
    }

    /// Sets the level at which every request is logged (FEATURES D9), with its path but without its query.
    pub fn transport_log(mut self, level: LevelFilter) -> Self {
        self.transport_log = level;
        self
    }

    /// Sets how long nothing may be written while something waits to be.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }
}

/// Turns a refusal with a reason into an HTTP answer.
#[derive(Clone)]
pub struct ErrorHandler(Arc<AnswerRefusal>);

type AnswerRefusal = dyn Fn(&Refused) -> Response<Bytes> + Send + Sync;

impl ErrorHandler {
    pub(crate) fn answer(&self, refused: &Refused) -> Response<Bytes> {
        (self.0)(refused)
    }
}

impl fmt::Debug for ErrorHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorHandler")
    }
}
