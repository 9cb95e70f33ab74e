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
mod sessions;
mod token;
mod transport;

use std::borrow::Cow;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Response, StatusCode};
use phoenix_proto::longpoll::{Answer, BodyError, BodyFormat, Messages, Polled, parse_body};
use phoenix_server::{AcceptError, Incoming, LongPoll};

pub use body::Body;
use body::{Delivery, LocalPoll};
use hub::Hub;
use read::ReadError;
use relay::RemotePolled;
use session::{Posted, Session, Waiting};

/// Where a client may put its token instead of the query; it counts more than that (FEATURES H9).
const TOKEN_HEADER: &str = "x-phoenix-longpoll-token";

/// Answers a request of a long-poll client; `body` is that of the request, read within its limit and for a POST only.
///
/// The future has to be dropped when the client closes its connection: that is how a session learns that nobody
/// waits for its messages. A poll that waits holds nothing of its request. New sessions are tasks of the current tokio
/// runtime.
///
/// # Panics
/// When it is polled outside of a tokio runtime.
pub async fn answer<B>(request: Box<LongPoll>, body: B) -> Response<Body>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let session = match session(&request) {
        Ok(session) => session,
        Err(error) => return answer::refused(error),
    };
    match *request.request().method() {
        Method::OPTIONS => answer::preflight(request.request().headers()),
        Method::GET => match session.and_then(|session| session.poll()) {
            Some(waiting) => {
                // They would pin the buffer that the HTTP server has read them into.
                drop((request, body));
                polled(waiting).await
            }
            // Boxed is what is rare, or every poll would reserve room for it.
            None => Box::pin(get_elsewhere(&request)).await,
        },
        Method::POST => {
            let headers = request.request().headers();
            let body = match read::read(body, headers, request.options().max_body_size).await {
                Ok(body) => body,
                Err(ReadError::TooLarge | ReadError::Broken) => {
                    return answer::error(StatusCode::BAD_REQUEST);
                }
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
            let posted = match (session, messages) {
                (Some(session), Some(messages)) => {
                    drop((request, body));
                    session.post(messages).await
                }
                (Some(session), None) => session.violate(),
                (None, messages) => Box::pin(post_elsewhere(&request, messages)).await,
            };
            answer::json(match posted {
                Posted::Accepted => Answer::Accepted,
                Posted::Timeout => Answer::Timeout,
                Posted::Gone => Answer::Gone,
            })
        }
        _ => answer::bad_method(),
    }
}

/// The session of this node that a request belongs to, if the origin may connect.
fn session(request: &LongPoll) -> Result<Option<Arc<Session>>, AcceptError> {
    let session = |token: &str| Hub::of(request.endpoint()).session(token, request.options().max_age);
    Ok(token(request)?.and_then(|token| session(&token)))
}

/// What the client shows to be let into its session, in the header or else among the parameters.
fn token(request: &LongPoll) -> Result<Option<Cow<'_, str>>, AcceptError> {
    let param = request.param("token")?;
    Ok(match request.request().header(TOKEN_HEADER) {
        Some(token) => token.to_str().ok().map(Cow::Borrowed),
        None => param,
    })
}

/// Waits for the messages of a session of this node.
async fn polled(mut waiting: Waiting) -> Response<Body> {
    let polled = (&mut waiting).await;
    let session = waiting.session();
    match polled {
        Polled::Messages(frames) => {
            let delivery = Delivery::Here(LocalPoll::new(Arc::clone(session), waiting.id()));
            messages(session.ticket().token(), &Messages::encode(&frames), delivery)
        }
        Polled::NoContent => answer::json(Answer::NoContent(session.ticket().token())),
    }
}

/// Polls a session of another node, or opens one if there is none (protocol §15.5).
async fn get_elsewhere(request: &LongPoll) -> Response<Body> {
    let params = match request.params() {
        Ok(params) => params,
        Err(error) => return answer::refused(error),
    };
    let hub = Hub::of(request.endpoint());
    let options = request.options();
    if let Ok(Some(token)) = token(request)
        && let Some(session) = hub.elsewhere(&token, request).await
        && let Some(polled) = session.poll(options.window, options.pubsub_timeout).await
    {
        return match polled {
            RemotePolled::Messages(list, poll) => messages(&token, &list, Delivery::Elsewhere(poll)),
            RemotePolled::NoContent => answer::json(Answer::NoContent(&token)),
        };
    }
    match request.accept(params).await {
        Ok(accepted) => {
            let session = hub.open(accepted, request).await;
            answer::json(Answer::Opened(session.ticket().token()))
        }
        Err(error) => answer::refused(error),
    }
}

fn messages(token: &str, messages: &Messages, delivery: Delivery) -> Response<Body> {
    answer::with_delivery(Answer::Messages(token, messages), Some(delivery))
}

/// Hands messages to a session of another node; none end it (protocol §15.6).
async fn post_elsewhere(request: &LongPoll, messages: Option<Vec<Incoming>>) -> Posted {
    let options = request.options();
    let hub = Hub::of(request.endpoint());
    let Ok(Some(token)) = token(request) else { return Posted::Gone };
    match (hub.elsewhere(&token, request).await, messages) {
        (Some(session), Some(messages)) => {
            session.post(messages, options.window, options.pubsub_timeout).await
        }
        (Some(session), None) => session.violate(),
        (None, _) => Posted::Gone,
    }
}

fn format(headers: &HeaderMap) -> BodyFormat {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(only), None) if only == "application/x-ndjson" => BodyFormat::Lines,
        _ => BodyFormat::Single,
    }
}
