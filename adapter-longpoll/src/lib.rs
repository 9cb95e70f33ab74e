//! Long polling for a [`phoenix_server::Endpoint`], whatever the framework: what clients fall back to where
//! WebSockets do not get through (protocol §15, FEATURES H).
//!
//! The adapters for axum, warp, actix-web and hyper serve it as soon as a mount has it on:
//!
//! ```
//! # use phoenix_server::{Channel, ConnectInfo, Context, Crash, Endpoint, Flow, JoinError, Payload, Refused, Router, Socket};
//! use phoenix_server::{LongPollOptions, SocketOptions};
//! # struct UserSocket;
//! # impl Socket for UserSocket {
//! #     async fn connect(_: ConnectInfo) -> Result<Self, Refused> { Ok(Self) }
//! #     fn channels(_: &mut Router<Self>) {}
//! # }
//!
//! let options = SocketOptions::new().longpoll(LongPollOptions::new());
//! let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", options).build()?;
//! assert!(endpoint.serves("/socket/longpoll"));
//! # Ok::<(), phoenix_server::EndpointError>(())
//! ```
//!
//! An adapter of your own hands the body of a request for [`phoenix_server::Answer::LongPoll`] to [`answer`].
//!
//! # Sessions
//!
//! A session is a connection like one over a WebSocket: the same driver, the same channels, the same limits. It ends
//! when it was not polled for one and a half windows (found out as often, so after 15 to 30 s by default), when
//! its client is disconnected or the server drains, and when the client sends what is no message. Its token then
//! leads nowhere: a POST is answered with 410 at once, a GET with a new session.
//!
//! # Tokens
//!
//! A token names a session of a node, signed with HMAC-SHA-256 by a key that is derived from
//! [`EndpointBuilder::secret_key_base`](phoenix_server::EndpointBuilder::secret_key_base). It is checked in
//! constant time and has a [maximal age](phoenix_server::LongPollOptions::max_age). With one that is forged,
//! damaged, too old or of nobody's, a request is one without a token.
//!
//! # Several nodes
//!
//! A request may reach any node whose endpoint has the same secret and the same PubSub. It is relayed to the node that
//! holds the session, which has [`pubsub_timeout`](phoenix_server::LongPollOptions::pubsub_timeout) to say so;
//! otherwise the session is taken for dead.
//!
//! # What is guaranteed
//!
//! What a session sends is handed to polls in order, each message once, unless it is lost. A poll is lost when its
//! connection breaks before the HTTP server has taken the answer's bytes: hyper finds that out when it sees
//! the client close, actix-web only with `HttpServer::h1_allow_half_closed(false)`. What was handed to a lost poll is
//! handed out again with the next one, in front of what is newer, and the client never sees it twice. Bytes
//! that the HTTP server has taken are the client's: what the network then loses is lost, as in Phoenix. When
//! the poll was relayed, the notice of its loss has to arrive before the next poll does.
//!
//! # Binary
//!
//! A client may post binary messages, but none reaches it: a push or reply with a binary payload fails with
//! [`EncodeError::TextOnly`](phoenix_server::EncodeError::TextOnly). A binary broadcast reaches the other clients; here it is
//! dropped and counted.

mod answer;
mod body;
mod hub;
mod read;
mod relay;
mod session;
mod token;
mod transport;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Response, StatusCode};
use phoenix_proto::longpoll::{Answer, BodyError, BodyFormat, Messages, Polled, parse_body};
use phoenix_server::{LongPoll, Params};

pub use body::Body;
use body::{Delivery, LocalPoll};
use hub::{Found, Hub};
use read::ReadError;
use relay::RemotePolled;
use session::Posted;

/// Where a client may put its token instead of the query; it counts more than that (FEATURES H9).
const TOKEN_HEADER: &str = "x-phoenix-longpoll-token";

/// Answers a request of a long-poll client; `body` is that of the request, read within its limit and for a POST only.
///
/// The future has to be dropped when the client closes its connection: that is how a session learns that nobody
/// waits for its messages. New sessions are tasks of the current tokio runtime.
///
/// # Panics
/// When it is polled outside of a tokio runtime.
pub async fn answer<B>(request: LongPoll, body: B) -> Response<Body>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let params = match request.params() {
        Ok(params) => params,
        Err(error) => return answer::refused(error),
    };
    match *request.request().method() {
        Method::OPTIONS => answer::preflight(request.request().headers()),
        Method::GET => get(&request, params).await,
        Method::POST => post(&request, &params, body).await,
        _ => answer::bad_method(),
    }
}

/// Polls, or opens a session if there is none (protocol §15.5).
async fn get(request: &LongPoll, params: Params) -> Response<Body> {
    let hub = Hub::of(request.endpoint());
    let options = request.options();
    let token = token(request.request().headers(), &params);
    match hub.find(token, request).await {
        Found::Here(session) => {
            if let Some(mut waiting) = session.poll() {
                return match (&mut waiting).await {
                    Polled::Messages(frames) => {
                        let delivery = Delivery::Here(LocalPoll::new(session, waiting.id()));
                        messages(token, &Messages::encode(&frames), delivery)
                    }
                    Polled::NoContent => no_content(token),
                };
            }
        }
        Found::Elsewhere { relay, topic, session } => {
            let session = relay.session(topic, session);
            if let Some(polled) = session.poll(options.window, options.pubsub_timeout).await {
                return match polled {
                    RemotePolled::Messages(list, poll) => messages(token, &list, Delivery::Elsewhere(poll)),
                    RemotePolled::NoContent => no_content(token),
                };
            }
        }
        Found::Nowhere => {}
    }
    match request.accept(params).await {
        Ok(accepted) => answer::json(Answer::Opened(&hub.open(accepted, request).await)),
        Err(error) => answer::refused(error),
    }
}

fn messages(token: Option<&str>, messages: &Messages, delivery: Delivery) -> Response<Body> {
    answer::with_delivery(Answer::Messages(token.unwrap_or_default(), messages), Some(delivery))
}

fn no_content(token: Option<&str>) -> Response<Body> {
    answer::json(Answer::NoContent(token.unwrap_or_default()))
}

/// Hands messages to the session (protocol §15.6).
async fn post<B>(request: &LongPoll, params: &Params, body: B) -> Response<Body>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let headers = request.request().headers();
    let hub = Hub::of(request.endpoint());
    let found = hub.find(token(headers, params), request).await;
    let options = request.options();
    let body = match read::read(body, headers, options.max_body_size).await {
        Ok(body) => body,
        Err(ReadError::TooLarge | ReadError::Broken) => return answer::error(StatusCode::BAD_REQUEST),
    };
    let messages = match parse_body(format(headers), &body) {
        Ok(messages) => Some(messages),
        // No message of any version: it ends the session, as one that cannot be decoded.
        Err(BodyError::NotUtf8) => None,
        Err(error) => {
            tracing::warn!(%error, "cannot read what is posted");
            return answer::error(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let posted = match (found, messages) {
        (Found::Here(session), Some(messages)) => session.post(messages).await,
        (Found::Here(session), None) => session.violate(),
        (Found::Elsewhere { relay, topic, session }, messages) => {
            let session = relay.session(topic, session);
            match messages {
                Some(messages) => session.post(messages, options.window, options.pubsub_timeout).await,
                None => session.violate(),
            }
        }
        (Found::Nowhere, _) => Posted::Gone,
    };
    answer::json(match posted {
        Posted::Accepted => Answer::Accepted,
        Posted::Timeout => Answer::Timeout,
        Posted::Gone => Answer::Gone,
    })
}

fn token<'a>(headers: &'a HeaderMap, params: &'a Params) -> Option<&'a str> {
    match headers.get(TOKEN_HEADER) {
        Some(token) => token.to_str().ok(),
        None => params.text("token"),
    }
}

fn format(headers: &HeaderMap) -> BodyFormat {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(only), None) if only == "application/x-ndjson" => BodyFormat::Lines,
        _ => BodyFormat::Single,
    }
}
