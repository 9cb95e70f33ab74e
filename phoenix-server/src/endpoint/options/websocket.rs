use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use phoenix_proto::Serializers;
use tracing::level_filters::LevelFilter;

use super::setters::{common_setters, timeout_setters};
use crate::Refused;
use crate::http_facts::{CheckOrigin, ConnectInfoOptions};
use crate::websocket::DeflateOptions;

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

    common_setters!();
    timeout_setters!();

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
