//! Mounts a [`phoenix_server::Endpoint`] in an actix-web app.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use actix_web::{App, HttpServer};
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
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
//!     let server = HttpServer::new(move || App::new().configure(phoenix_adapter_actix::config(&endpoint)));
//!     let server = server.on_connect(phoenix_adapter_actix::on_connect).client_disconnect_timeout(Duration::ZERO);
//!     Ok(server.bind("127.0.0.1:4000")?.run().await?)
//! }
//! ```
//!
//! [`on_connect`] sets `TCP_NODELAY`, which actix-web leaves off. Unless `client_disconnect_timeout` is zero, actix-web
//! waits for the client before it ends a WebSocket connection, while the client waits for just that. TLS is recognised
//! by itself.
//!
//! With long polling, `h1_allow_half_closed(false)` lets a session learn at once that the client of a poll is gone, so that
//! no message is handed to it.
//!
//! To actix-web everything that follows a request for an upgrade is its body, so that the connection of a refused one
//! ends with the answer; and it does not keep the order of headers, so that those in `connect_info` are sorted by name.

mod connection;
mod longpoll;
mod request;

use std::any::Any;

use actix_web::body::BoxBody;
use actix_web::dev::{Extensions, RequestHead};
use actix_web::guard::fn_guard;
use actix_web::http::StatusCode;
use actix_web::web::{Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Scope, web};
use phoenix_server::{Answer, Endpoint};

/// A configuration function with the paths of the endpoint, for `App::configure` and `Scope::configure`.
///
/// Requests for other paths go on to the services of the app, whatever the order of registration.
pub fn config(endpoint: &Endpoint) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let service = service(endpoint.clone(), String::new());
    move |config| {
        config.service(service);
    }
}

/// A scope that serves the endpoint below a path prefix, for `App::service`.
pub fn scope(prefix: &str, endpoint: &Endpoint) -> Scope {
    web::scope(prefix).service(service(endpoint.clone(), prefix.trim_end_matches('/').to_owned()))
}

/// Prepares a new connection, for `HttpServer::on_connect`: without it small frames wait for the
/// acknowledgement of those before them.
pub fn on_connect(connection: &dyn Any, _: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        // A stream that is already broken tells so when it is read.
        let _ = stream.set_nodelay(true);
    }
}

/// The guard finds the paths of the endpoint; to match all paths a scope needs no regular expression.
fn service(endpoint: Endpoint, prefix: String) -> Scope {
    let guarded = (endpoint.clone(), prefix.clone());
    web::scope("")
        .guard(fn_guard(move |guard| {
            let (endpoint, prefix) = &guarded;
            routed_path(guard.head(), prefix).is_some_and(|path| endpoint.serves(path))
        }))
        .default_service(web::to(move |request: HttpRequest, payload: Payload| {
            let answer = request::facts(&request, &prefix).map(|facts| endpoint.handle(facts));
            // Nothing of the request is kept while a poll waits.
            drop(request);
            async move {
                match answer {
                    Some(answer) => response(answer.await, payload).await,
                    None => HttpResponse::new(StatusCode::BAD_REQUEST),
                }
            }
        }))
}

async fn response(answer: Answer, payload: Payload) -> HttpResponse {
    match answer {
        Answer::NotFound => HttpResponse::new(StatusCode::NOT_FOUND),
        Answer::Response(response) => {
            let (parts, body) = response.into_parts();
            builder(&parts).body(body)
        }
        Answer::LongPoll(request) => longpoll::answer(request, payload).await,
        Answer::Upgrade(upgrade) => {
            let (parts, ()) = upgrade.response().clone().into_parts();
            let mut response = builder(&parts);
            response.upgrade("websocket");
            response.message_body(connection::Body::new(*upgrade, payload)).map_or_else(
                |_| HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
                |response| response.map_body(|_, body| BoxBody::new(body)),
            )
        }
    }
}

fn builder(parts: &http::response::Parts) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        // The framework writes these itself.
        if *name != http::header::CONNECTION && *name != http::header::UPGRADE {
            builder.append_header((name.as_str(), value.as_bytes()));
        }
    }
    builder
}

/// The path below the prefix.
fn routed_path<'a>(head: &'a RequestHead, prefix: &str) -> Option<&'a str> {
    head.uri.path().strip_prefix(prefix)
}
