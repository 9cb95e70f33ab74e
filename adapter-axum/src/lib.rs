//! Mounts a [`phoenix_server::Endpoint`] in an axum app.
//!
//! [`router`] is merged into or nested in the app's own router; [`EndpointLayer`] wraps a whole app instead and
//! sees every request first, as Phoenix does; [`EndpointService`] is the endpoint alone as a tower service.
//!
//! ```no_run
//! use phoenix_server::{Channel, ConnectInfo, Context, Crash, Endpoint, Flow, JoinError, Payload};
//! use phoenix_server::{Refused, Router, Socket, SocketOptions};
//!
//! struct UserSocket;
//! impl Socket for UserSocket {
//!     async fn connect(_: ConnectInfo) -> Result<Self, Refused> { Ok(Self) }
//!     fn channels(router: &mut Router<Self>) { router.channel::<Room>("room:*"); }
//! }
//! struct Room;
//! impl Channel for Room {
//!     type Socket = UserSocket;
//!     type Info = ();
//!     async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> { Ok((Self, Payload::EMPTY)) }
//!     async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
//!         cx.broadcast(event, payload)?;
//!         Ok(Flow::Continue)
//!     }
//! }
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
//!     let app = axum::Router::new().merge(phoenix_adapter_axum::router(&endpoint));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
//!     Ok(axum::serve(listener, app.into_make_service()).await?)
//! }
//! ```
//!
//! The address of the peer is known when the app is served with
//! `into_make_service_with_connect_info::<SocketAddr>()`. Without any of the two, axum builds all its routes anew for
//! each connection, which costs time and kilobytes of memory.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{ConnectInfo, OriginalUri, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any_service;
use phoenix_server::{Endpoint, HttpRequest, PeerData};
use tower::{Layer, Service};

/// A router with the paths of the endpoint, to merge into or nest in another one.
///
/// axum matches paths exactly, but for a slash at the end, which is accepted as in Phoenix. Where repeated
/// slashes matter too, use [`EndpointLayer`].
pub fn router<S: Clone + Send + Sync + 'static>(endpoint: &Endpoint) -> axum::Router<S> {
    let mut router = axum::Router::new();
    for path in endpoint.paths() {
        let service = any_service(EndpointService::new(endpoint.clone()));
        let path = axum_path(path);
        router = router.route(&format!("{path}/"), service.clone()).route(&path, service);
    }
    router
}

/// `/tenant/:name` as axum writes it: `/tenant/{name}`.
fn axum_path(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The endpoint as a service; what is not the endpoint's is answered with 404.
#[derive(Debug, Clone)]
pub struct EndpointService {
    endpoint: Endpoint,
    tls: bool,
}

impl EndpointService {
    /// The service of an endpoint behind plain HTTP.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, tls: false }
    }

    /// Tells whether the app is served over TLS, which `connect_info` and some origin checks depend on.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }
}

impl Service<Request> for EndpointService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let response = handle(&self.endpoint, self.tls, request);
        Box::pin(async move { Ok(response.await.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())) })
    }
}

/// Wraps a service so that the requests of the endpoint never reach it.
#[derive(Debug, Clone)]
pub struct EndpointLayer {
    endpoint: Endpoint,
    tls: bool,
}

impl EndpointLayer {
    /// The layer of an endpoint behind plain HTTP.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, tls: false }
    }

    /// Tells whether the app is served over TLS, which `connect_info` and some origin checks depend on.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }
}

impl<S> Layer<S> for EndpointLayer {
    type Service = WithEndpoint<S>;

    fn layer(&self, inner: S) -> WithEndpoint<S> {
        WithEndpoint { endpoint: EndpointService { endpoint: self.endpoint.clone(), tls: self.tls }, inner }
    }
}

/// A service behind an endpoint; made by [`EndpointLayer`].
#[derive(Debug, Clone)]
pub struct WithEndpoint<S> {
    endpoint: EndpointService,
    inner: S,
}

impl<S> Service<Request> for WithEndpoint<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.endpoint.endpoint.serves(request.uri().path()) {
            self.endpoint.call(request)
        } else {
            Box::pin(self.inner.call(request))
        }
    }
}

fn handle(
    endpoint: &Endpoint,
    tls: bool,
    request: Request,
) -> impl Future<Output = Option<Response>> + Send + use<> {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let original = request.extensions().get::<OriginalUri>().map(|uri| uri.0.clone());
    let facts = move |request: HttpRequest| {
        let request = request.with_peer(PeerData { address, ..PeerData::default() }).with_tls(tls);
        match original {
            Some(uri) => request.with_original_uri(uri),
            None => request,
        }
    };
    let response = phoenix_adapter_hyper::handle(endpoint, request, facts);
    async move { Some(response.await?.map(Body::new)) }
}
