//! Mounts a [`phoenix_server::Endpoint`] in anything that is built on hyper.
//!
//! The adapters for axum and warp are thin layers over [`handle`]; use it directly for a bare hyper server.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
pub use phoenix_adapter_longpoll::Body;
use phoenix_server::{Answer, Driver, Endpoint, HttpRequest, Upgrade, WebSocket};
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
pub fn handle<B, F>(
    endpoint: &Endpoint,
    request: Request<B>,
    facts: F,
) -> impl Future<Output = Option<Response<Body>>> + use<B, F>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    F: FnOnce(HttpRequest) -> HttpRequest,
{
    // Before the future begins, which so has nothing of the request in it while a poll waits.
    let (mut parts, body) = request.into_parts();
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    let answer = endpoint.handle(facts(HttpRequest::new(parts)));
    async move {
        match answer.await {
            Answer::NotFound => None,
            Answer::Response(response) => Some(response.map(Body::from)),
            Answer::LongPoll(request) => Some(phoenix_adapter_longpoll::answer(request, body).await),
            Answer::Upgrade(upgrade) => Some(accept(*upgrade, on_upgrade).map(Body::from)),
        }
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
    tokio::spawn(Task::Upgrading(on_upgrade, upgrade));
    response
}

/// The task of a connection from its upgrade on. Written as a state so that what the upgrade needs lies where the
/// connection will: as an `async` block it would keep both.
#[expect(clippy::large_enum_variant, reason = "nearly all are of the largest one, nearly all of the time")]
enum Task {
    Upgrading(OnUpgrade, Upgrade),
    Tcp(Driver<WebSocket<TcpStream>>),
    /// Over TLS, say.
    Other(Box<Driver<WebSocket<TokioIo<Upgraded>>>>),
    Over,
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        loop {
            let upgraded = match task {
                Self::Upgrading(on_upgrade, _) => ready!(Pin::new(on_upgrade).poll(cx)),
                Self::Tcp(driver) => return Pin::new(driver).poll(cx),
                Self::Other(driver) => return Pin::new(driver).poll(cx),
                Self::Over => return Poll::Ready(()),
            };
            let Self::Upgrading(_, upgrade) = std::mem::replace(task, Self::Over) else { continue };
            match upgraded {
                Ok(upgraded) => *task = run(upgrade, upgraded),
                Err(error) => tracing::debug!(%error, "the upgrade was not completed"),
            }
        }
    }
}

fn run(upgrade: Upgrade, upgraded: Upgraded) -> Task {
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return run_tcp(upgrade, parts.io.into_inner(), &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => run_tcp(upgrade, parts.io.into_inner(), &parts.read_buf),
        Err(upgraded) => Task::Other(Box::new(upgrade.run(TokioIo::new(upgraded), &[]))),
    }
}

fn run_tcp(upgrade: Upgrade, stream: TcpStream, read_ahead: &[u8]) -> Task {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    Task::Tcp(upgrade.run(stream, read_ahead))
}
