mod longpoll;
mod setters;
mod transport;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

pub use longpoll::LongPollOptions;
pub use transport::TransportOptions;
pub use websocket::{ErrorHandler, WebSocketOptions};

use super::{DrainOptions, Drainer};
use crate::QueueLimits;

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
