use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use http::{HeaderValue, Method, Response, StatusCode, Version};

use super::admission::{AcceptError, Admission, Shared, warn};
use super::answer::{Answer, Upgrade};
use super::{EndpointError, ErrorHandler, TransportOptions, WebSocketOptions};
use crate::http_facts::{HttpRequest, PathParams, Subprotocols};
use crate::pubsub::PubSub;
use crate::refused::empty;
use crate::websocket::{DeflateOptions, DeflateParams, Deflater, Inflater, Reader, ReaderConfig, accept_key};

/// The WebSocket transport of a mount: the checks of a request in the order of Phoenix (protocol §7.2).
pub(super) struct WebSocketMount {
    admission: Admission,
    subprotocols: Subprotocols,
    limits: ReaderConfig,
    compress: bool,
    deflate: DeflateOptions,
    error_handler: Option<ErrorHandler>,
}

/// The answer to a request that does not become a WebSocket.
type Answered = Box<Response<Bytes>>;

/// What Phoenix sends with every answer.
const NO_CACHE: HeaderValue = HeaderValue::from_static("max-age=0, private, must-revalidate");

impl WebSocketMount {
    pub(super) fn new(options: &WebSocketOptions, shared: &Shared<'_>) -> Result<Self, EndpointError> {
        let mut subprotocols = match &options.subprotocols {
            Some(names) => Subprotocols::supporting(names.iter().map(String::as_str))?,
            None => Subprotocols::default(),
        };
        if shared.socket.auth_token {
            subprotocols = subprotocols.with_auth_token();
        }
        let common = TransportOptions {
            path: options.path.clone(),
            serializers: options.serializers.clone(),
            check_origin: options.check_origin.clone(),
            connect_info: options.connect_info.clone(),
            timeout: options.timeout,
            write_timeout: options.write_timeout,
            log: options.log,
            transport_log: options.transport_log,
        };
        Ok(Self {
            admission: Admission::new("websocket", common, shared)?,
            subprotocols,
            limits: ReaderConfig {
                max_frame_size: options.max_frame_size,
                max_message_size: options.max_message_size,
            },
            compress: options.compress,
            deflate: options.deflate,
            error_handler: options.error_handler.clone(),
        })
    }

    pub(super) async fn handle(&self, path: PathParams, request: HttpRequest, pubsub: &PubSub) -> Answer {
        if names_no_host(&request) {
            let mut response = empty(StatusCode::BAD_REQUEST);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Answer::Response(response);
        }
        self.admission.log_request(&request);
        match self.upgrade(&path, &request, pubsub).await {
            Ok(upgrade) => Answer::Upgrade(Box::new(upgrade)),
            Err(mut response) => {
                response.headers_mut().entry(CACHE_CONTROL).or_insert(NO_CACHE);
                Answer::Response(*response)
            }
        }
    }

    async fn upgrade(
        &self,
        path: &PathParams,
        request: &HttpRequest,
        pubsub: &PubSub,
    ) -> Result<Upgrade, Answered> {
        if request.method() != Method::GET {
            return Err(empty(StatusCode::BAD_REQUEST).into());
        }
        let params = self.admission.params(path, request).map_err(|error| self.answer(error, None))?;
        let negotiation = self.subprotocols.negotiate(request.headers()).map_err(|error| {
            warn(&error);
            Box::new(empty(StatusCode::FORBIDDEN))
        })?;
        let session = self
            .admission
            .connect(params, request, Some(&negotiation), pubsub)
            .await
            .map_err(|error| self.answer(error, negotiation.chosen.as_ref()))?;
        let accept = accept_key(request.version(), request.headers()).map_err(|error| {
            let mut response = Response::new(Bytes::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Box::new(response)
        })?;
        let deflate = self.compress.then(|| DeflateParams::negotiate(request.headers())).flatten();
        let deflate = deflate.map(|agreed| agreed.restrict(&self.deflate));

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
        Ok(Upgrade {
            response,
            session,
            reader: Reader::new(self.limits, deflate.map(|agreed| Inflater::with(agreed, &self.deflate))),
            deflater: deflate.map(|agreed| Deflater::with(agreed, &self.deflate)),
        })
    }

    /// The answer to a request that is not accepted; one that the socket refused still names the subprotocol.
    fn answer(&self, error: AcceptError, protocol: Option<&HeaderValue>) -> Answered {
        let (mut response, refused) = match (error, &self.error_handler) {
            (AcceptError::Refused(refused), Some(handler)) if refused.has_reason() => {
                (handler.answer(&refused), true)
            }
            (error, _) => {
                let refused = matches!(error, AcceptError::Refused(_));
                (error.into_response(), refused)
            }
        };
        if let Some(protocol) = protocol.filter(|_| refused) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        response.into()
    }
}

/// Whether a request lacks what HTTP/1.1 demands of every request (RFC 9112 §3.2).
fn names_no_host(request: &HttpRequest) -> bool {
    request.version() == Version::HTTP_11
        && request.uri().authority().is_none()
        && request.header(HOST).is_none()
}
