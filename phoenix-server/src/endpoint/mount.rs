use std::sync::Arc;

use futures_util::future::{BoxFuture, Either, Ready, ready};

use super::Endpoint;
use super::admission::{Admission, EndpointDefaults, Shared};
use super::answer::Answer;
use super::drain::{self, Drained, Drainer};
use super::longpoll::{LongPoll, LongPollMount};
use super::upgrade::WebSocketMount;
use super::{EndpointError, SocketOptions};
use crate::SocketInfo;
use crate::http_facts::{HttpRequest, ParamsError, PathParams, PathPattern};
use crate::refused::error_page;
use crate::registry::Registry;
use crate::socket::Mounted;
use crate::telemetry::Diagnostics;

/// One socket at one path, with its transports.
pub(super) struct Mount {
    websocket: Option<(PathPattern, Arc<WebSocketMount>)>,
    longpoll: Option<(PathPattern, Arc<LongPollMount>)>,
    custom: Vec<(PathPattern, Admission)>,
    /// For [`testing`](crate::testing), at the path of the mount itself, if there are channels to test.
    test: Option<(PathPattern, Admission)>,
    registry: Arc<Registry>,
    drainer: Drainer,
    /// The type of the socket.
    name: &'static str,
}

/// A transport whose path a request has.
pub(super) struct Found<'a> {
    transport: Transport<'a>,
    path: Result<PathParams, ParamsError>,
}

enum Transport<'a> {
    WebSocket(&'a Arc<WebSocketMount>),
    LongPoll(&'a Arc<LongPollMount>),
}

impl Mount {
    pub(super) fn new(
        path: &str,
        handler: &Mounted,
        options: &SocketOptions,
        endpoint: &EndpointDefaults<'_>,
    ) -> Result<Self, EndpointError> {
        let registry = Arc::new(Registry::default());
        let shared = Shared { handler, socket: options, endpoint, registry: &registry };
        let websocket = match &options.websocket {
            Some(websocket) => {
                let pattern = PathPattern::new(path, &websocket.path)?;
                Some((pattern, Arc::new(WebSocketMount::new(websocket, &shared)?)))
            }
            None => None,
        };
        let longpoll = match &options.longpoll {
            Some(longpoll) => {
                let pattern = PathPattern::new(path, &longpoll.path)?;
                Some((pattern, Arc::new(LongPollMount::new(longpoll, &shared)?)))
            }
            None => None,
        };
        let custom = options.transports.iter().map(|(name, transport)| {
            let pattern = PathPattern::new(path, &transport.path)?;
            Ok((pattern, Admission::new(name, transport.clone(), &shared)?))
        });
        let custom = custom.collect::<Result<_, EndpointError>>()?;
        let test = match handler {
            Mounted::Channels(_) => {
                Some((PathPattern::new(path, "")?, Admission::for_test(options, &shared)?))
            }
            Mounted::Raw(_) => None,
        };
        Ok(Self {
            test,
            websocket,
            longpoll,
            custom,
            registry,
            drainer: options.drainer.clone(),
            name: handler.name(),
        })
    }

    pub(super) fn find(&self, path: &str) -> Option<Found<'_>> {
        let websocket = self.websocket.iter().map(|(pattern, mount)| (pattern, Transport::WebSocket(mount)));
        let longpoll = self.longpoll.iter().map(|(pattern, mount)| (pattern, Transport::LongPoll(mount)));
        websocket.chain(longpoll).find_map(|(pattern, transport)| {
            pattern.match_path(path).transpose().map(|path| Found { transport, path })
        })
    }

    /// The custom transport of that name, if the path is its own, with the variables of the path.
    pub(super) fn find_custom(
        &self,
        name: &str,
        path: &str,
    ) -> Option<(&Admission, Result<PathParams, ParamsError>)> {
        self.custom
            .iter()
            .filter(|(_, admission)| admission.transport() == name)
            .find_map(|(pattern, admission)| Some((admission, pattern.match_path(path).transpose()?)))
    }

    /// How tests connect, if the path is that of the mount, with the variables of the path.
    pub(super) fn find_test(&self, path: &str) -> Option<(&Admission, Result<PathParams, ParamsError>)> {
        let (pattern, admission) = self.test.as_ref()?;
        Some((admission, pattern.match_path(path).transpose()?))
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let websocket = self.websocket.iter().map(|(pattern, _)| pattern);
        websocket.chain(self.longpoll.iter().map(|(pattern, _)| pattern)).map(PathPattern::as_str)
    }

    pub(super) async fn drain(&self, diagnostics: &Diagnostics) -> Drained {
        drain::drain(&self.registry, &self.drainer, self.name, diagnostics).await
    }

    /// All connections, for people to look at.
    pub(super) fn sockets(&self) -> Vec<SocketInfo> {
        self.registry.list(self.name)
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Found<'_> {
    /// Boxed is only what may have to wait.
    pub(super) fn handle(
        self,
        request: HttpRequest,
        endpoint: &Endpoint,
    ) -> Either<Ready<Answer>, BoxFuture<'static, Answer>> {
        let answer = match (self.path, self.transport) {
            (Err(error), _) => Answer::Response(error_page(error.status())),
            (Ok(path), Transport::WebSocket(mount)) => {
                let (mount, pubsub) = (Arc::clone(mount), endpoint.pubsub().clone());
                return Either::Right(Box::pin(async move { mount.handle(path, request, &pubsub).await }));
            }
            (Ok(path), Transport::LongPoll(mount)) => {
                mount.log_request(&request);
                let (endpoint, mount) = (endpoint.clone(), Arc::clone(mount));
                Answer::LongPoll(Box::new(LongPoll { endpoint, mount, path, request }))
            }
        };
        Either::Left(ready(answer))
    }
}
