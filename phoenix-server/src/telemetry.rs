use std::fmt;
use std::time::Duration;

use phoenix_proto::{Payload, Ref};
use serde_json::Value;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

use crate::http_facts::{ParamFilter, Params};

/// Hears of what happens in an endpoint, with durations: for metrics (FEATURES O, protocol §25).
///
/// Its functions are called where the event happens and must not block. Without one, and with the log levels off,
/// nothing is measured.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use phoenix_server::{ChannelHandledIn, Telemetry};
///
/// #[derive(Default)]
/// struct Metrics {
///     messages: AtomicU64,
///     nanoseconds: AtomicU64,
/// }
///
/// impl Telemetry for Metrics {
///     fn channel_handled_in(&self, event: &ChannelHandledIn<'_>) {
///         self.messages.fetch_add(1, Ordering::Relaxed);
///         self.nanoseconds.fetch_add(event.duration.as_nanos() as u64, Ordering::Relaxed);
///     }
/// }
/// # let _ = phoenix_server::Endpoint::builder().telemetry(Metrics::default());
/// ```
pub trait Telemetry: Send + Sync + 'static {
    /// An endpoint was built (FEATURES O1).
    fn endpoint_init(&self, event: &EndpointInit<'_>) {
        let _ = event;
    }

    /// A socket's `connect` accepted or refused (FEATURES O2); not called when it panicked, or was not asked.
    fn socket_connected(&self, event: &SocketConnected<'_>) {
        let _ = event;
    }

    /// A channel's `join` accepted or refused (FEATURES O4); not called when it crashed.
    fn channel_joined(&self, event: &ChannelJoined<'_>) {
        let _ = event;
    }

    /// A channel has handled a message of its client (FEATURES O5); not called when it crashed.
    fn channel_handled_in(&self, event: &ChannelHandledIn<'_>) {
        let _ = event;
    }

    /// A batch of connections is closed by a drain (FEATURES O3, I7).
    fn socket_drain(&self, event: &SocketDrain) {
        let _ = event;
    }
}

/// See [`Telemetry::endpoint_init`].
#[derive(Debug)]
#[non_exhaustive]
pub struct EndpointInit<'a> {
    /// The paths of its transports.
    pub paths: Vec<&'a str>,
}

/// See [`Telemetry::socket_connected`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SocketConnected<'a> {
    /// The type of the socket.
    pub socket: &'static str,
    /// The name of the transport.
    pub transport: &'static str,
    /// The name of the serializer; `None` for a socket without channels.
    pub serializer: Option<&'a str>,
    /// The parameters as they were sent.
    pub params: &'a Params,
    /// Whether the connection was accepted.
    pub accepted: bool,
    /// How long `connect` took.
    pub duration: Duration,
    filter: &'a ParamFilter,
}

/// See [`Telemetry::channel_joined`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ChannelJoined<'a> {
    /// The type of the channel.
    pub channel: &'static str,
    /// The topic.
    pub topic: &'a str,
    /// The name of the transport.
    pub transport: &'static str,
    /// The parameters as they were sent.
    pub params: &'a Payload,
    /// Whether the join was accepted.
    pub accepted: bool,
    /// How long `join` took.
    pub duration: Duration,
    filter: &'a ParamFilter,
}

/// See [`Telemetry::channel_handled_in`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ChannelHandledIn<'a> {
    /// The type of the channel.
    pub channel: &'static str,
    /// The topic.
    pub topic: &'a str,
    /// The name of the transport.
    pub transport: &'static str,
    /// The event.
    pub event: &'a str,
    /// The reference of the message.
    pub reference: Option<&'a Ref>,
    /// The payload as it was sent.
    pub payload: &'a Payload,
    /// How long `handle_in` took.
    pub duration: Duration,
    filter: &'a ParamFilter,
}

/// See [`Telemetry::socket_drain`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SocketDrain {
    /// The type of the socket.
    pub socket: &'static str,
    /// How many connections are closed with this batch.
    pub count: usize,
    /// How many connections are to be closed in all.
    pub total: usize,
    /// Which batch this is, from 1.
    pub round: usize,
    /// How many batches there are.
    pub rounds: usize,
    /// How long the next batch waits.
    pub interval: Duration,
}

impl SocketConnected<'_> {
    /// The parameters as the [filter](crate::EndpointBuilder::filter_parameters) shows them (FEATURES O6).
    pub fn filtered_params(&self) -> Value {
        self.filter.apply(&self.params.into())
    }
}

impl ChannelJoined<'_> {
    /// The parameters as the [filter](crate::EndpointBuilder::filter_parameters) shows them (FEATURES O6).
    pub fn filtered_params(&self) -> Value {
        filtered(self.filter, self.params)
    }
}

impl ChannelHandledIn<'_> {
    /// The payload as the [filter](crate::EndpointBuilder::filter_parameters) shows it (FEATURES O6).
    pub fn filtered_payload(&self) -> Value {
        filtered(self.filter, self.payload)
    }
}

fn filtered(filter: &ParamFilter, payload: &Payload) -> Value {
    match payload.parse() {
        Ok(value) => filter.apply(&value),
        Err(_) => format!("{} bytes", payload.len()).into(),
    }
}

/// Who is told of the events of an endpoint: its log and its observer.
#[derive(Default)]
pub(crate) struct Diagnostics {
    pub(crate) telemetry: Option<Box<dyn Telemetry>>,
    pub(crate) filter: ParamFilter,
}

/// Measures a callback that somebody wants to hear of.
pub(crate) struct Stopwatch {
    start: Instant,
    level: LevelFilter,
}

/// Where a callback of a channel runs.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) channel: &'static str,
    pub(crate) topic: &'a str,
    pub(crate) transport: &'static str,
}

/// Logs an event with a level that is only known when it happens.
macro_rules! log_at {
    ($level:expr, $($event:tt)+) => {
        match $level.into_level() {
            Some(tracing::Level::ERROR) => tracing::error!($($event)+),
            Some(tracing::Level::WARN) => tracing::warn!($($event)+),
            Some(tracing::Level::INFO) => tracing::info!($($event)+),
            Some(tracing::Level::DEBUG) => tracing::debug!($($event)+),
            Some(tracing::Level::TRACE) => tracing::trace!($($event)+),
            None => {}
        }
    };
}
pub(crate) use log_at;

impl Diagnostics {
    /// `None` if nobody wants to hear of what is about to happen.
    pub(crate) fn stopwatch(&self, level: LevelFilter) -> Option<Stopwatch> {
        let wanted = self.telemetry.is_some()
            || level.into_level().is_some_and(|level| tracing::level_enabled!(level));
        wanted.then(|| Stopwatch { start: Instant::now(), level })
    }

    pub(crate) fn endpoint_init(&self, paths: Vec<&str>) {
        if let Some(telemetry) = &self.telemetry {
            telemetry.endpoint_init(&EndpointInit { paths });
        }
    }

    pub(crate) fn socket_connected(
        &self,
        watch: &Stopwatch,
        socket: &'static str,
        transport: &'static str,
        serializer: Option<&str>,
        params: &Params,
        accepted: bool,
    ) {
        let duration = watch.start.elapsed();
        let filter = &self.filter;
        let event = SocketConnected { socket, transport, serializer, params, accepted, duration, filter };
        if accepted {
            log_at!(watch.level, transport, serializer, ?duration, "connected");
        } else {
            log_at!(watch.level, transport, serializer, ?duration, "refused connection");
        }
        if watch.level != LevelFilter::OFF {
            tracing::trace!(params = %event.filtered_params(), "parameters of the connection");
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.socket_connected(&event);
        }
    }

    pub(crate) fn channel_joined(&self, watch: &Stopwatch, site: Site<'_>, params: &Payload, accepted: bool) {
        let duration = watch.start.elapsed();
        let Site { channel, topic, transport } = site;
        let event =
            ChannelJoined { channel, topic, transport, params, accepted, duration, filter: &self.filter };
        if site.is_logged(watch) {
            if accepted {
                log_at!(watch.level, topic, ?duration, "joined");
            } else {
                log_at!(watch.level, topic, ?duration, "join refused");
            }
            tracing::trace!(topic, params = %event.filtered_params(), "parameters of the join");
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.channel_joined(&event);
        }
    }

    pub(crate) fn channel_handled_in(
        &self,
        watch: &Stopwatch,
        site: Site<'_>,
        event: &str,
        reference: Option<&Ref>,
        payload: &Payload,
    ) {
        let duration = watch.start.elapsed();
        let Site { channel, topic, transport } = site;
        let filter = &self.filter;
        let handled =
            ChannelHandledIn { channel, topic, transport, event, reference, payload, duration, filter };
        if site.is_logged(watch) {
            log_at!(watch.level, topic, event, ?duration, "handled");
            tracing::trace!(topic, event, payload = %handled.filtered_payload(), "payload of the message");
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.channel_handled_in(&handled);
        }
    }

    pub(crate) fn socket_drain(&self, level: LevelFilter, event: &SocketDrain) {
        let SocketDrain { count, total, round, rounds, .. } = *event;
        log_at!(level, count, total, round, rounds, "draining");
        if let Some(telemetry) = &self.telemetry {
            telemetry.socket_drain(event);
        }
    }
}

impl Site<'_> {
    /// Topics of the library itself are not logged (FEATURES O8).
    fn is_logged(self, watch: &Stopwatch) -> bool {
        watch.level != LevelFilter::OFF && !self.topic.starts_with("phoenix")
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").field("filter", &self.filter).finish_non_exhaustive()
    }
}
