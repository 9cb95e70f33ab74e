//! What a client socket is told once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::codec::ClientSerializer;
use super::refs::RefStyle;
use crate::{Json, Text, V2};

/// A value, or a function that is asked for it at every attempt.
///
/// The function is called while an input of the socket is handled, so it must neither block nor call the
/// socket. A token that has to be fetched is fetched elsewhere and read here.
#[derive(Clone)]
pub enum Source<T> {
    /// Always the same.
    Value(T),
    /// Asked at every connect or join, as `params` and `authToken` functions of phoenix.js are.
    Function(Arc<dyn Fn() -> T + Send + Sync>),
}

impl<T: Clone> Source<T> {
    /// A function that is asked at every attempt.
    pub fn function(function: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(function))
    }

    /// The value for the next attempt.
    pub fn get(&self) -> T {
        match self {
            Self::Value(value) => value.clone(),
            Self::Function(function) => function(),
        }
    }
}

impl<T> From<T> for Source<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Function(_) => f.write_str("function"),
        }
    }
}

/// By which transport a connection is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A WebSocket.
    #[default]
    WebSocket,
    /// Long polling.
    LongPoll,
}

/// When a socket gives up on WebSockets and uses long polling (`longPollFallbackMs`, protocol §19.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallback {
    /// How long the WebSocket may take to open, and then to answer a ping.
    pub after: Duration,
    /// Start with long polling, because an earlier run told that WebSockets do not work here
    /// ([`SocketEvent::FallbackConfirmed`](super::SocketEvent::FallbackConfirmed)).
    pub memorized: bool,
    /// Never give up on WebSockets once one has answered a ping (quirk Q29). phoenix.js does not have this
    /// rule: there one refused reconnect during a restart of the server leaves a healthy client on long polling.
    pub keep_healthy_primary: bool,
}

impl Fallback {
    /// Falls back after this time, unless a WebSocket has ever been healthy.
    pub fn after(after: Duration) -> Self {
        Self { after, memorized: false, keep_healthy_primary: true }
    }
}

/// What happens to a push for which there is no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The push is refused with an error.
    #[default]
    Refuse,
    /// The oldest waiting push of the channel ends as discarded to make room.
    DropOldest,
}

/// The settings of a client socket; the defaults are those of phoenix.js (protocol §19.1).
///
/// A zero `timeout`, `heartbeat_interval` or `long_poll_timeout` means its default, as there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where the socket is mounted, without the transport: `wss://example.com/socket`.
    pub endpoint: Text,
    /// The connection parameters: a JSON object, serialised into the query.
    pub params: Source<Json>,
    /// The token that authenticates the connection, outside of the query.
    pub auth_token: Source<Option<Text>>,
    /// The wire format; [`V2`] by default.
    pub serializer: Arc<dyn ClientSerializer>,
    /// How long joins, pushes and leaves wait for their reply: 10 seconds.
    pub timeout: Duration,
    /// The time from opening or the last heartbeat reply to the next heartbeat, and the time to answer it: 30 seconds.
    pub heartbeat_interval: Duration,
    /// The delays before reconnecting.
    pub reconnect: Backoff,
    /// The delays before rejoining a channel.
    pub rejoin: Backoff,
    /// The transport to begin with.
    pub transport: Transport,
    /// Whether and when to fall back from WebSockets to long polling; never by default.
    pub fallback: Option<Fallback>,
    /// How long a long-poll request may take: 20 seconds.
    pub long_poll_timeout: Duration,
    /// After how many refusals in a row a channel closes instead of trying again; never by default, as in
    /// phoenix.js (quirk Q31).
    pub refused_joins: Option<u32>,
    /// How many pushes wait in one channel until it is joined: 1024.
    pub push_buffer: usize,
    /// What happens to one push more.
    pub push_overflow: Overflow,
    /// How many messages wait for the transport, of an open connection or until the next one: 4096.
    ///
    /// On an open connection one push more is refused. Without a connection only joins and leaves wait, and
    /// the oldest is dropped and counted: a new connection starts with nothing joined, so that a lost
    /// leave changes nothing and a lost join is repeated.
    pub send_buffer: usize,
    /// How references are numbered.
    pub ref_style: RefStyle,
    /// What the jitter of both delay tables is drawn from.
    pub jitter_seed: u64,
}

impl Config {
    /// The defaults for a socket mounted at `endpoint`.
    pub fn new(endpoint: impl Into<Text>) -> Self {
        Self {
            endpoint: endpoint.into(),
            params: Source::Value(Json::EMPTY),
            auth_token: Source::Value(None),
            serializer: Arc::new(V2),
            timeout: DEFAULT_TIMEOUT,
            heartbeat_interval: DEFAULT_HEARTBEAT,
            reconnect: Backoff::reconnect(),
            rejoin: Backoff::rejoin(),
            transport: Transport::default(),
            fallback: None,
            long_poll_timeout: DEFAULT_LONG_POLL,
            refused_joins: None,
            push_buffer: 1024,
            push_overflow: Overflow::default(),
            send_buffer: 4096,
            ref_style: RefStyle::default(),
            jitter_seed: 0,
        }
    }

    /// The same settings with every zero duration replaced by its default.
    pub(super) fn normalized(mut self) -> Self {
        let fields = [
            (&mut self.timeout, DEFAULT_TIMEOUT),
            (&mut self.heartbeat_interval, DEFAULT_HEARTBEAT),
            (&mut self.long_poll_timeout, DEFAULT_LONG_POLL),
        ];
        for (field, default) in fields {
            if field.is_zero() {
                *field = default;
            }
        }
        self
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(30);
const DEFAULT_LONG_POLL: Duration = Duration::from_secs(20);
