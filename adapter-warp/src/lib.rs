//! Mounts a [`phoenix_server::Endpoint`] in a warp app.
//!
//! ```no_run
//! use phoenix_server::{Channel, ConnectInfo, Context, Crash, Endpoint, Flow, JoinError, Payload};
//! use phoenix_server::{Refused, Router, Socket, SocketOptions};
//! use warp::Filter;
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
//!     let hello = warp::path::end().map(|| "hello");
//!     warp::serve(phoenix_adapter_warp::endpoint(endpoint).or(hello)).run(([127, 0, 0, 1], 4000)).await;
//!     Ok(())
//! }
//! ```

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use futures_util::TryStreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::{Body as _, Frame};
use http_body_util::{BodyDataStream, StreamBody};
use hyper::upgrade::OnUpgrade;
use phoenix_adapter_hyper::Body;
use phoenix_server::{Endpoint, HttpRequest, PeerData};
use warp::filters::path::{FullPath, Peek};
use warp::reply::Response;
use warp::{Filter, Rejection, Reply, Stream};

/// A filter for the requests of the endpoint; all others it rejects as not found, so that it combines with
/// the app's own filters by `or`. Behind a path filter it serves the endpoint below that path.
pub fn endpoint(
    endpoint: Endpoint,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    with_tls(endpoint, false)
}

/// The same for an app that is served over TLS, which `connect_info` and some origin checks depend on.
pub fn endpoint_tls(
    endpoint: Endpoint,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    with_tls(endpoint, true)
}

fn with_tls(
    endpoint: Endpoint,
    tls: bool,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path::peek()
        .and_then(move |path: Peek| {
            let endpoint = endpoint.clone();
            async move {
                let path = ["/", path.as_str()].concat();
                if endpoint.serves(&path) { Ok((endpoint, path)) } else { Err(warp::reject::not_found()) }
            }
        })
        .untuple_one()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::addr::remote())
        .and(warp::body::stream())
        .and_then(
            move |endpoint: Endpoint,
                  path: String,
                  full: FullPath,
                  query: String,
                  method,
                  headers,
                  on_upgrade,
                  address,
                  body| {
                // Of what was stripped, if anything was, the URI that the client sent is not known otherwise.
                let original = (full.as_str() != path).then(|| uri(full.as_str(), &query));
                let request = request(&path, &query, method, headers, on_upgrade).map(|()| body);
                let answer = answer(&endpoint, request, original, address, tls);
                async move { answer.await.ok_or_else(warp::reject::not_found) }
            },
        )
}

fn answer<B: Buf, S>(
    endpoint: &Endpoint,
    request: Request<S>,
    original: Option<Uri>,
    address: Option<SocketAddr>,
    tls: bool,
) -> impl Future<Output = Option<Response>> + use<B, S>
where
    S: Stream<Item = Result<B, warp::Error>>,
{
    let facts = move |request: HttpRequest| {
        let peer = PeerData { address, ..PeerData::default() };
        let request = request.with_peer(peer).with_tls(tls);
        match original {
            Some(uri) => request.with_original_uri(uri),
            None => request,
        }
    };
    let request = request.map(|body| StreamBody::new(body.map_ok(Frame::data)));
    let answer = phoenix_adapter_hyper::handle(endpoint, request, facts);
    async move { Some(response(answer.await?)) }
}

/// The answer with a body of warp's own type, which can be made of a stream only; the length is then to be told.
fn response(response: http::Response<Body>) -> Response {
    let (mut parts, body) = response.into_parts();
    if body.is_end_stream() {
        return Response::from_parts(parts, Response::default().into_body());
    }
    parts.headers.insert(CONTENT_LENGTH, body.size_hint().lower().into());
    let body = warp::reply::stream(BodyDataStream::new(body)).into_response().into_body();
    Response::from_parts(parts, body)
}

/// The request as hyper had it; warp hands it out in pieces only.
fn request(
    path: &str,
    query: &str,
    method: Method,
    headers: HeaderMap,
    on_upgrade: Option<OnUpgrade>,
) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = uri(path, query);
    *request.method_mut() = method;
    // warp does not tell the version; but hyper offers an upgrade for HTTP/1.1 only.
    let wants_upgrade = headers.contains_key(http::header::UPGRADE);
    *request.version_mut() =
        if wants_upgrade && on_upgrade.is_none() { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    if let Some(on_upgrade) = on_upgrade {
        request.extensions_mut().insert(on_upgrade);
    }
    request
}

fn uri(path: &str, query: &str) -> Uri {
    let mut uri = Vec::with_capacity(path.len() + 1 + query.len());
    uri.extend_from_slice(path.as_bytes());
    if !query.is_empty() {
        uri.push(b'?');
        uri.extend_from_slice(query.as_bytes());
    }
    // It was one before it was taken apart.
    Uri::from_maybe_shared(Bytes::from(uri)).unwrap_or_default()
}
