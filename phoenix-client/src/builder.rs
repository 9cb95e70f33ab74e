//! How a socket is made.

use std::sync::Arc;
use std::time::Duration;

use phoenix_proto::Text;
use phoenix_proto::client::{
    Backoff, ClientSerializer, Config, Fallback, Socket as Machine, Source, Transport,
};

use crate::connector::{Connect, Direct, Target};
use crate::driver::Driver;
use crate::error::BuildError;
use crate::params::Params;
use crate::shared::Shared;
use crate::socket::Socket;
use crate::transport::{Environment, facts};
use crate::wire::Observe;

/// As long as a request of long polling may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The settings of a socket to be; the defaults are those of phoenix.js.
#[must_use]
pub struct SocketBuilder {
    config: Config,
    connector: Arc<dyn Connect>,
    observer: Option<Arc<dyn Observe>>,
    event_buffer: usize,
    connect_timeout: Duration,
}

impl SocketBuilder {
    pub(crate) fn new(endpoint: impl Into<Text>) -> Self {
        let mut config = Config::new(endpoint);
        config.jitter_seed = seed();
        Self {
            config,
            connector: Arc::new(Direct),
            observer: None,
            event_buffer: 256,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// The connection parameters, in the query of the address. Anything but a JSON object counts as empty.
    pub fn params(mut self, params: impl Into<Params>) -> Self {
        self.config.params = params.into().into_query();
        self
    }

    /// The token that authenticates the connection: a subprotocol of the WebSocket, a header of long polling.
    pub fn auth_token(mut self, token: impl Into<Text>) -> Self {
        self.config.auth_token = Source::Value(Some(token.into()));
        self
    }

    /// A function that is asked for the token at every connect; `None` connects without one.
    ///
    /// It must neither block nor use the socket. A token that has to be fetched is fetched elsewhere and read
    /// here.
    pub fn auth_token_function(mut self, token: impl Fn() -> Option<Text> + Send + Sync + 'static) -> Self {
        self.config.auth_token = Source::function(token);
        self
    }

    /// The wire format: [`V2`](crate::V2) by default, [`V1`](crate::V1), or the application's own.
    pub fn serializer(mut self, serializer: impl ClientSerializer) -> Self {
        self.config.serializer = Arc::new(serializer);
        self
    }

    /// The transport to begin with; a WebSocket by default.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.config.transport = transport;
        self
    }

    /// When to fall back from WebSockets to long polling (`longPollFallbackMs`); never by default.
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.config.fallback = Some(fallback);
        self
    }

    /// How long joins, pushes and leaves wait for their reply: 10 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// The time between heartbeats, and the time to answer one: 30 seconds by default.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// How long a WebSocket may take to open, TCP and TLS included, before the attempt has failed: 20 seconds by
    /// default. phoenix.js leaves that to the browser.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The delays before reconnecting.
    pub fn reconnect_after(mut self, backoff: Backoff) -> Self {
        self.config.reconnect = backoff;
        self
    }

    /// The delays before rejoining a channel.
    pub fn rejoin_after(mut self, backoff: Backoff) -> Self {
        self.config.rejoin = backoff;
        self
    }

    /// Changes any of the settings of the machine below, the limits of its buffers among them.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// How byte streams to the server are made: through a proxy, say. [`Direct`] by default.
    pub fn connector(mut self, connector: impl Connect) -> Self {
        self.connector = Arc::new(connector);
        self
    }

    /// Tells everything that goes over the wire to an observer.
    pub fn observer(mut self, observer: impl Observe) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// How many events a stream may be behind before it loses the oldest: 256 by default, at least one.
    pub fn event_buffer(mut self, events: usize) -> Self {
        self.event_buffer = events.max(1);
        self
    }

    /// Makes the socket and begins to connect.
    ///
    /// # Errors
    /// [`BuildError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(self) -> Result<Socket, BuildError> {
        let socket = self.build()?;
        // How it goes is told by the state and the events of the socket.
        drop(socket.connect());
        Ok(socket)
    }

    /// Makes the socket without connecting.
    ///
    /// # Errors
    /// [`BuildError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn build(self) -> Result<Socket, BuildError> {
        let endpoint = self.config.endpoint.clone();
        let uri = endpoint.parse().ok().filter(|uri| Target::of(uri).is_some());
        if uri.is_none_or(|uri| !matches!(uri.scheme_str(), Some("ws" | "wss"))) {
            return Err(BuildError::Address(endpoint));
        }
        let machine = Machine::new(self.config);
        let (sender, facts) = facts();
        let environment = Environment {
            connector: self.connector,
            observer: self.observer,
            facts: sender,
            connect_timeout: self.connect_timeout,
            long_poll_timeout: machine.config().long_poll_timeout,
        };
        let shared = Arc::new(Shared::new(machine, self.event_buffer));
        let driver = Driver {
            shared: Arc::clone(&shared),
            environment,
            facts,
            running: None,
            staged: None,
            close: None,
        };
        tokio::spawn(driver.run());
        Ok(Socket::new(shared))
    }
}

impl std::fmt::Debug for SocketBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Something different for every socket, to spread the reconnects of many.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
