//! Mounts a [`phoenix_server::Endpoint`] in anything that is built on hyper.
//!
//! The adapters for axum and warp are thin layers over [`handle`]; use it directly for a bare hyper server.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
pub use phoenix_adapter_longpoll::Body;
use phoenix_server::{Answer, Endpoint, HttpRequest, Upgrade};
use tokio::net::TcpStream;

/// Answers a request if it is the endpoint's, `None` if it belongs to the rest of the application.
///
/// `facts` adds what only the framework knows about the request: the peer, TLS, the original URI. An accepted
/// WebSocket upgrade goes on as a task of the current tokio runtime; on a plain `TcpStream` it takes the
/// stream over from hyper, so that nothing of hyper is left in its memory or in its way.
///
/// Pass the answer on with its body as it is: what a long-poll session does when an answer is lost depends on it.
///
/// # Panics
/// When it is called outside of a tokio runtime.
pub async fn handle<B>(
    endpoint: &Endpoint,
    request: Request<B>,
    facts: impl FnOnce(HttpRequest) -> HttpRequest,
) -> Option<Response<Body>>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (mut parts, body) = request.into_parts();
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    match endpoint.handle(facts(HttpRequest::new(parts))).await {
        Answer::NotFound => None,
        Answer::Response(response) => Some(response.map(Body::from)),
        Answer::LongPoll(request) => Some(phoenix_adapter_longpoll::answer(*request, body).await),
        Answer::Upgrade(upgrade) => Some(accept(*upgrade, on_upgrade).map(Body::from)),
    }
}

fn accept(upgrade: Upgrade, on_upgrade: Option<OnUpgrade>) -> Response<Bytes> {
    let Some(on_upgrade) = on_upgrade else {
        tracing::error!("the HTTP server cannot upgrade this connection");
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let response = upgrade.response().clone().map(|()| Bytes::new());
    tokio::spawn(async move {
        match on_upgrade.await {
            Ok(upgraded) => run(upgrade, upgraded),
            Err(error) => tracing::debug!(%error, "the upgrade was not completed"),
        }
    });
    response
}

/// Spawns the connection as a task of its own, so that the one of the upgrade and its memory go away.
fn run(upgrade: Upgrade, upgraded: Upgraded) {
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return run_tcp(upgrade, parts.io.into_inner(), &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => run_tcp(upgrade, parts.io.into_inner(), &parts.read_buf),
        Err(upgraded) => {
            tokio::spawn(upgrade.run(TokioIo::new(upgraded), &[]));
        }
    }
}

fn run_tcp(upgrade: Upgrade, stream: TcpStream, read_ahead: &[u8]) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    tokio::spawn(upgrade.run(stream, read_ahead));
}
