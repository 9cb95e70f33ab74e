use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Response, StatusCode};
use phoenix_proto::server::Config;
use phoenix_proto::{Serializer, VersionError};
use thiserror::Error;
use tracing::level_filters::LevelFilter;

use super::{EndpointError, SocketOptions, TransportOptions};
use crate::driver::{Accepted, AcceptedParts, RawParts, Timeouts};
use crate::http_facts::{
    CheckOrigin, ConnectInfo, ConnectInfoKey, HttpRequest, Negotiation, OriginRefused, Params, ParamsError,
    PathParams, UnixMillis, VsnNotText,
};
use crate::inbox::Inbox;
use crate::pubsub::PubSub;
use crate::refused::{empty, error_page};
use crate::registry::{Registration, Registry};
use crate::socket::Mounted;
use crate::telemetry::{Diagnostics, Stopwatch, log_at};
use crate::testing::TRANSPORT;
use crate::{QueueLimits, Refused};

/// What every transport of a mount asks before there is a connection (protocol §7): the origin, the version,
/// the socket.
pub(super) struct Admission {
    transport: &'static str,
    handler: Mounted,
    options: TransportOptions,
    check_origin: CheckOrigin,
    url_host: String,
    diagnostics: Arc<Diagnostics>,
    log: LevelFilter,
    timeouts: Timeouts,
    config: Config,
    queue: QueueLimits,
    registry: Arc<Registry>,
}

/// What the transports of a mount share.
#[derive(Clone)]
pub(super) struct Shared<'a> {
    pub(super) handler: &'a Mounted,
    pub(super) socket: &'a SocketOptions,
    pub(super) endpoint: &'a EndpointDefaults<'a>,
    pub(super) registry: &'a Arc<Registry>,
}

/// What the mounts of an endpoint share.
pub(super) struct EndpointDefaults<'a> {
    pub(super) check_origin: &'a CheckOrigin,
    pub(super) url_host: &'a str,
    pub(super) diagnostics: &'a Arc<Diagnostics>,
}

/// A request that does not become a connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The server shuts down.
    #[error("the server shuts down")]
    Draining,
    /// No transport of that name is mounted at that path.
    #[error("no such transport is mounted at this path")]
    NotFound,
    /// The path or the query string cannot be decoded.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The page that connects is of an origin that may not.
    #[error(transparent)]
    Origin(#[from] OriginRefused),
    /// The parameter `vsn` is no text.
    #[error(transparent)]
    Vsn(#[from] VsnNotText),
    /// The client speaks no version of the protocol that the transport does.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// [`Socket::connect`](crate::Socket::connect) refused.
    #[error("the socket refused the connection")]
    Refused(Refused),
    /// [`Socket::connect`](crate::Socket::connect) or [`Socket::id`](crate::Socket::id) panicked.
    #[error("the socket panicked")]
    Panicked,
}

impl AcceptError {
    /// The HTTP status that tells a client of it (protocol §7.2).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Params(error) => error.status(),
            Self::Origin(_) | Self::Vsn(_) | Self::Version(_) => StatusCode::FORBIDDEN,
            Self::Refused(refused) => refused.status(),
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The whole HTTP answer: without a body, unless the socket gave one or this is an error and no refusal.
    pub fn into_response(self) -> Response<Bytes> {
        match self {
            Self::Refused(refused) => refused.into_response(),
            Self::Params(_) | Self::Panicked => error_page(self.status()),
            other => empty(other.status()),
        }
    }
}

impl Admission {
    /// # Errors
    /// [`EndpointError::ConnectInfo`] for options that protect nothing.
    pub(super) fn new(
        transport: &'static str,
        mut options: TransportOptions,
        shared: &Shared<'_>,
    ) -> Result<Self, EndpointError> {
        let check_origin = options.check_origin.as_ref().unwrap_or(shared.endpoint.check_origin).clone();
        if shared.socket.auth_token {
            options.connect_info = options.connect_info.with_keys([ConnectInfoKey::AuthToken]);
        }
        options.connect_info.validate(&check_origin)?;
        let mut config = Config::default();
        config.max_channels = shared.socket.max_channels;
        config.idle_timeout = options.timeout;
        Ok(Self {
            transport,
            handler: shared.handler.clone(),
            log: options.log.unwrap_or(shared.socket.log),
            timeouts: Timeouts {
                write: options.write_timeout,
                terminate: shared.socket.terminate_timeout,
                ..Timeouts::default()
            },
            options,
            check_origin,
            url_host: shared.endpoint.url_host.to_owned(),
            diagnostics: Arc::clone(shared.endpoint.diagnostics),
            config,
            queue: shared.socket.queue.clone(),
            registry: Arc::clone(shared.registry),
        })
    }

    /// How [`testing`](crate::testing) connects: with the connect info of the WebSocket, and without an idle timeout.
    pub(super) fn for_test(options: &SocketOptions, shared: &Shared<'_>) -> Result<Self, EndpointError> {
        let mut test = TransportOptions::new("").timeout(None);
        if let Some(websocket) = &options.websocket {
            test.check_origin.clone_from(&websocket.check_origin);
            test.connect_info = websocket.connect_info.clone();
        }
        Self::new(TRANSPORT, test, shared)
    }

    /// Logs a request, if that is wanted.
    pub(super) fn log_request(&self, request: &HttpRequest) {
        log_at!(
            self.options.transport_log,
            transport = self.transport,
            method = %request.method(),
            path = request.path(),
            "request"
        );
    }

    pub(super) fn transport(&self) -> &'static str {
        self.transport
    }

    pub(super) fn queue(&self) -> &QueueLimits {
        &self.queue
    }

    /// The parameters of a request whose origin may connect.
    pub(super) fn params(&self, path: &PathParams, request: &HttpRequest) -> Result<Params, AcceptError> {
        let params = Params::parse(request.query())?.with_path(path);
        self.check_origin.check(request, Some(&self.url_host)).inspect_err(warn)?;
        Ok(params)
    }

    /// One of these parameters, if it is a text.
    pub(super) fn param<'a>(
        &self,
        path: &'a PathParams,
        request: &'a HttpRequest,
        name: &str,
    ) -> Result<Option<Cow<'a, str>>, AcceptError> {
        let in_query = Params::text_of(request.query(), name)?;
        self.check_origin.check(request, Some(&self.url_host)).inspect_err(warn)?;
        Ok(path.get(name).map(Cow::Borrowed).or(in_query))
    }

    /// Asks the socket; `negotiation` is that of a WebSocket.
    pub(super) async fn connect(
        &self,
        params: Params,
        request: &HttpRequest,
        negotiation: Option<&Negotiation>,
        pubsub: &PubSub,
    ) -> Result<Accepted, AcceptError> {
        if self.registry.is_draining() {
            return Err(AcceptError::Draining);
        }
        let connect_info = &self.options.connect_info;
        let info = |params| match negotiation {
            Some(negotiation) => connect_info.for_websocket(request, params, negotiation, unix_now()),
            None => connect_info.for_longpoll(request, params, unix_now()),
        };
        match &self.handler {
            Mounted::Channels(handler) => {
                let serializer = self.serializer(&params)?;
                let info = info(params);
                let watch = self.watch(&info, Some(serializer.name()));
                let asking = async {
                    let socket = Arc::clone(handler).connect(info).await?;
                    let id = socket.id();
                    Ok((socket, id))
                };
                let (socket, id) = self.ask(asking, watch).await?;
                let Begun { id, inbox, registration, span } = self.begin(id);
                Ok(Accepted::new(AcceptedParts {
                    routes: Arc::clone(handler.routes()),
                    config: self.config.clone(),
                    timeouts: self.timeouts.clone(),
                    pubsub: pubsub.clone(),
                    diagnostics: Arc::clone(&self.diagnostics),
                    transport: self.transport,
                    socket,
                    id,
                    serializer,
                    registration,
                    inbox,
                    span,
                }))
            }
            Mounted::Raw(handler) => {
                let info = info(params);
                let watch = self.watch(&info, None);
                let asking = async {
                    let socket = handler.connect(info).await?;
                    let id = socket.id();
                    Ok((socket, id))
                };
                let (socket, id) = self.ask(asking, watch).await?;
                let Begun { id, inbox, registration, span } = self.begin(id);
                Ok(Accepted::raw(RawParts {
                    idle_timeout: self.options.timeout,
                    timeouts: self.timeouts.clone(),
                    pubsub: pubsub.clone(),
                    diagnostics: Arc::clone(&self.diagnostics),
                    transport: self.transport,
                    socket,
                    id,
                    registration,
                    inbox,
                    span,
                }))
            }
        }
    }

    fn serializer(&self, params: &Params) -> Result<Arc<dyn Serializer>, AcceptError> {
        let vsn = params.vsn().inspect_err(warn)?;
        Ok(self.options.serializers.negotiate(vsn).inspect_err(warn)?)
    }

    /// What is told of an attempt to connect, if somebody wants to hear of it.
    fn watch<'a>(&self, info: &ConnectInfo, serializer: Option<&'a str>) -> Option<Watch<'a>> {
        let stopwatch = self.diagnostics.stopwatch(self.log)?;
        Some(Watch { stopwatch, serializer, params: info.params.clone() })
    }

    /// Asks the socket.
    async fn ask<S>(
        &self,
        asking: impl Future<Output = Result<S, Refused>>,
        watch: Option<Watch<'_>>,
    ) -> Result<S, AcceptError> {
        let asked = AssertUnwindSafe(asking).catch_unwind().await;
        if let (Some(Watch { stopwatch, serializer, params }), Ok(answer)) = (&watch, &asked) {
            self.diagnostics.socket_connected(
                stopwatch,
                self.handler.name(),
                self.transport,
                *serializer,
                params,
                answer.is_ok(),
            );
        }
        let answer = asked.map_err(|_| {
            tracing::error!(transport = self.transport, "connect panicked");
            AcceptError::Panicked
        })?;
        answer.map_err(AcceptError::Refused)
    }

    /// Makes a connection of one that was accepted.
    fn begin(&self, id: Option<String>) -> Begun {
        let id: Option<Arc<str>> = id.map(Into::into);
        let inbox = Arc::new(Inbox::new(self.queue.clone()));
        let span = tracing::info_span!("socket", transport = self.transport, id = id.as_deref());
        let registration = self.registry.register(Arc::clone(&inbox), self.transport, id.clone());
        Begun { id, inbox, registration, span }
    }
}

/// Measures an attempt to connect.
struct Watch<'a> {
    stopwatch: Stopwatch,
    serializer: Option<&'a str>,
    params: Params,
}

/// What a connection has from its beginning.
struct Begun {
    id: Option<Arc<str>>,
    inbox: Arc<Inbox>,
    registration: Registration,
    span: tracing::Span,
}

pub(super) fn warn(error: &impl std::error::Error) {
    tracing::warn!(%error, "refused connection");
}

fn unix_now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
