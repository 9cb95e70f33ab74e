use std::sync::Arc;

use super::answer::Answer;
use super::upgrade::WebSocketMount;
use super::{EndpointError, SocketOptions};
use crate::http_facts::{CheckOrigin, HttpRequest, ParamsError, PathParams, PathPattern};
use crate::pubsub::PubSub;
use crate::refused::empty;
use crate::registry::Registry;
use crate::socket::Handler;

/// One socket at one path, with its transports.
pub(super) struct Mount {
    websocket: Option<(PathPattern, WebSocketMount)>,
    registry: Arc<Registry>,
}

/// A transport whose path a request has.
pub(super) struct Found(Result<PathParams, ParamsError>);

impl Mount {
    pub(super) fn new(
        path: &str,
        handler: Arc<dyn Handler>,
        options: &SocketOptions,
        check_origin: &CheckOrigin,
        url_host: &str,
    ) -> Result<Self, EndpointError> {
        let registry = Arc::new(Registry::default());
        let websocket = match &options.websocket {
            Some(websocket) => {
                let pattern = PathPattern::new(path, &websocket.path)?;
                let mount = WebSocketMount::new(
                    handler,
                    options,
                    websocket,
                    check_origin,
                    url_host,
                    Arc::clone(&registry),
                )?;
                Some((pattern, mount))
            }
            None => None,
        };
        Ok(Self { websocket, registry })
    }

    pub(super) fn find(&self, path: &str) -> Option<Found> {
        let (pattern, _) = self.websocket.as_ref()?;
        pattern.match_path(path).transpose().map(Found)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.websocket.iter().map(|(pattern, _)| pattern.as_str())
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) async fn handle(&self, found: Found, request: HttpRequest, pubsub: &PubSub) -> Answer {
        match (found.0, &self.websocket) {
            (Ok(params), Some((_, websocket))) => websocket.handle(params, request, pubsub).await,
            (Err(error), _) => Answer::Response(empty(error.status())),
            (_, None) => Answer::NotFound,
        }
    }
}
