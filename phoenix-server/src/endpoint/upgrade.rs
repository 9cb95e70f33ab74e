use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderValue, Method, Response, StatusCode};
use phoenix_proto::Serializer;
use phoenix_proto::server::Config;

use super::answer::{Answer, Upgrade};
use super::{EndpointError, SocketOptions, WebSocketOptions};
use crate::driver::{Accepted, AcceptedParts, Timeouts};
use crate::http_facts::{
    CheckOrigin, ConnectInfo, ConnectInfoKey, HttpRequest, Negotiation, Params, PathParams, Subprotocols,
    UnixMillis,
};
use crate::inbox::Inbox;
use crate::pubsub::PubSub;
use crate::refused::empty;
use crate::registry::Registry;
use crate::socket::{Connected, Handler};
use crate::websocket::{DeflateParams, Deflater, Inflater, Reader, ReaderConfig, accept_key};
use crate::{QueueLimits, Refused};

/// The WebSocket transport of a mount: the checks of a request in the order of Phoenix (protocol §7.2).
pub(super) struct WebSocketMount {
    handler: Arc<dyn Handler>,
    options: WebSocketOptions,
    check_origin: CheckOrigin,
    url_host: String,
    subprotocols: Subprotocols,
    config: Config,
    queue: QueueLimits,
    registry: Arc<Registry>,
}

/// The answer to a request that does not become a WebSocket.
type Answered = Box<Response<Bytes>>;

/// What Phoenix sends with every answer.
const NO_CACHE: HeaderValue = HeaderValue::from_static("max-age=0, private, must-revalidate");

impl WebSocketMount {
    pub(super) fn new(
        handler: Arc<dyn Handler>,
        socket: &SocketOptions,
        websocket: &WebSocketOptions,
        check_origin: &CheckOrigin,
        url_host: &str,
        registry: Arc<Registry>,
    ) -> Result<Self, EndpointError> {
        let check_origin = websocket.check_origin.as_ref().unwrap_or(check_origin).clone();
        let mut options = websocket.clone();
        let mut subprotocols = match &options.subprotocols {
            Some(names) => Subprotocols::supporting(names.iter().map(String::as_str))?,
            None => Subprotocols::default(),
        };
        if socket.auth_token {
            subprotocols = subprotocols.with_auth_token();
            options.connect_info = options.connect_info.with_keys([ConnectInfoKey::AuthToken]);
        }
        options.connect_info.validate(&check_origin)?;
        let mut config = Config::default();
        config.max_channels = socket.max_channels;
        config.idle_timeout = options.timeout;
        Ok(Self {
            handler,
            options,
            check_origin,
            url_host: url_host.to_owned(),
            subprotocols,
            config,
            queue: socket.queue.clone(),
            registry,
        })
    }

    pub(super) async fn handle(&self, path: PathParams, request: HttpRequest, pubsub: &PubSub) -> Answer {
        match self.upgrade(path, &request, pubsub).await {
            Ok(upgrade) => Answer::Upgrade(Box::new(upgrade)),
            Err(mut response) => {
                response.headers_mut().entry(CACHE_CONTROL).or_insert(NO_CACHE);
                Answer::Response(*response)
            }
        }
    }

    async fn upgrade(
        &self,
        path: PathParams,
        request: &HttpRequest,
        pubsub: &PubSub,
    ) -> Result<Upgrade, Answered> {
        if request.method() != Method::GET {
            return Err(empty(StatusCode::BAD_REQUEST).into());
        }
        let params =
            Params::parse(request.query()).map_err(|error| Box::new(empty(error.status())))?.with_path(&path);
        self.check_origin.check(request, Some(&self.url_host)).map_err(|error| refuse(&error))?;
        let negotiation = self.subprotocols.negotiate(request.headers()).map_err(|error| refuse(&error))?;
        let serializer = self.negotiate_version(&params)?;
        let info = self.options.connect_info.for_websocket(request, params, &negotiation, unix_now());
        let socket = self.connect(info, &negotiation).await?;
        let accept = accept_key(request.version(), request.headers()).map_err(|error| {
            let mut response = Response::new(Bytes::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            Box::new(response)
        })?;
        let deflate = self.options.compress.then(|| DeflateParams::negotiate(request.headers())).flatten();

        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        headers.insert(CACHE_CONTROL, NO_CACHE);
        if let Some(protocol) = negotiation.chosen {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if let Some(deflate) = deflate {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.answer());
        }
        let limits = ReaderConfig {
            max_frame_size: self.options.max_frame_size,
            max_message_size: self.options.max_message_size,
        };
        Ok(Upgrade {
            response,
            session: self.session(socket, serializer, pubsub),
            reader: Reader::new(limits, deflate.map(Inflater::new)),
            deflater: deflate.map(Deflater::new),
        })
    }

    fn negotiate_version(&self, params: &Params) -> Result<Arc<dyn Serializer>, Answered> {
        let vsn = params.vsn().map_err(|error| refuse(&error))?;
        self.options.serializers.negotiate(vsn).map_err(|error| refuse(&error))
    }

    async fn connect(
        &self,
        info: ConnectInfo,
        negotiation: &Negotiation,
    ) -> Result<Arc<dyn Connected>, Answered> {
        let connecting = AssertUnwindSafe(Arc::clone(&self.handler).connect(info)).catch_unwind();
        match connecting.await {
            Ok(Ok(socket)) => {
                tracing::info!(transport = "websocket", "connected");
                Ok(socket)
            }
            Ok(Err(refused)) => {
                tracing::info!(transport = "websocket", "refused connection");
                let mut response = self.answer_refusal(refused);
                if let Some(protocol) = &negotiation.chosen {
                    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
                }
                Err(response.into())
            }
            Err(_) => {
                tracing::error!("connect panicked");
                Err(empty(StatusCode::INTERNAL_SERVER_ERROR).into())
            }
        }
    }

    fn answer_refusal(&self, refused: Refused) -> Response<Bytes> {
        match &self.options.error_handler {
            Some(handler) if refused.has_reason() => handler.answer(&refused),
            _ => refused.into_response(),
        }
    }

    fn session(
        &self,
        socket: Arc<dyn Connected>,
        serializer: Arc<dyn Serializer>,
        pubsub: &PubSub,
    ) -> Accepted {
        let inbox = Arc::new(Inbox::new(self.queue.clone()));
        let span = tracing::info_span!("socket", transport = "websocket", id = socket.id());
        Accepted::new(AcceptedParts {
            registration: self.registry.register(Arc::clone(&inbox)),
            routes: Arc::clone(self.handler.routes()),
            config: self.config.clone(),
            timeouts: Timeouts { write: self.options.write_timeout, ..Timeouts::default() },
            pubsub: pubsub.clone(),
            transport: "websocket",
            socket,
            serializer,
            inbox,
            span,
        })
    }
}

fn refuse(error: &dyn std::error::Error) -> Answered {
    tracing::warn!(%error, "refused connection");
    empty(StatusCode::FORBIDDEN).into()
}

fn unix_now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
