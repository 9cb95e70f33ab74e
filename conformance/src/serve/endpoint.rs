//! The mounts with their options.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use phoenix_server::{
    CheckOrigin, ConnectInfoKey, ConnectInfoOptions, Endpoint, LongPollOptions, Refused, Requirement,
    Serializer, Serializers, SocketOptions, V1, WebSocketOptions,
};
use serde_json::json;

use super::app::{app, secret};
use super::presence;
use super::sockets::{AuthErrSocket, AuthSocket, BenchSocket, Denial, OpenSocket, TokenSocket, UserSocket};

/// All mounts of the reference application.
pub(super) fn endpoint() -> Result<Endpoint, Box<dyn Error>> {
    let lp = LongPollOptions::new;
    let both = |websocket, longpoll| SocketOptions::new().websocket(websocket).longpoll(longpoll);
    let websocket = |options| SocketOptions::new().websocket(options);
    let defaults = || both(WebSocketOptions::new(), lp());
    let check_origin = |policy: CheckOrigin| {
        both(WebSocketOptions::new().check_origin(policy.clone()), lp().check_origin(policy))
    };
    let connect_info = |websocket, longpoll| {
        both(WebSocketOptions::new().connect_info(websocket), lp().connect_info(longpoll))
    };
    let info = ConnectInfoOptions::default;
    let session = || info().with_session(Arc::clone(&app().sessions));
    let only_v1 = Serializers::new([(Requirement::compatible(1, 0, 0), Arc::new(V1) as Arc<dyn Serializer>)]);
    let uri = || info().with_keys([ConnectInfoKey::Uri]);
    let tenant = both(
        WebSocketOptions::new().path("/ws/:device").connect_info(uri()),
        lp().path("/lp/:device").connect_info(uri()),
    );
    let without_csrf = WebSocketOptions::new()
        .check_origin(CheckOrigin::list(["//localhost"])?)
        .connect_info(session().with_check_csrf(false));
    let x_headers = || info().with_keys([ConnectInfoKey::XHeaders]);
    let seconds = Duration::from_secs;

    let endpoint = Endpoint::builder()
        .check_origin(CheckOrigin::Off)
        .secret_key_base(secret())
        .socket::<UserSocket>("/socket", connect_info(websocket_info(), all_info()))
        .socket::<UserSocket>("/strict", check_origin(CheckOrigin::list(["//example.com"])?))
        .socket::<UserSocket>(
            "/strict_wild",
            check_origin(CheckOrigin::list(["https://*.example.com", "http://other.com:8080"])?),
        )
        .socket::<UserSocket>("/strict_true", check_origin(CheckOrigin::Host))
        .socket::<UserSocket>("/strict_conn", check_origin(CheckOrigin::Conn))
        .socket::<AuthSocket>("/auth", defaults())
        .socket::<AuthErrSocket>("/autherr", both(WebSocketOptions::new().error_handler(explain), lp()))
        .socket::<AuthErrSocket>("/autherr_default", defaults())
        .socket::<TokenSocket>(
            "/authtoken",
            connect_info(x_headers().with_keys([ConnectInfoKey::SecWebsocketHeaders]), x_headers())
                .auth_token(true),
        )
        .socket::<TokenSocket>(
            "/authtoken_sub",
            both(WebSocketOptions::new().subprotocols(["sip"]), lp()).auth_token(true),
        )
        .socket::<UserSocket>(
            "/short",
            both(
                WebSocketOptions::new().timeout(Duration::from_millis(1500)),
                lp().window(seconds(1)).pubsub_timeout(Duration::from_millis(500)),
            ),
        )
        .socket::<UserSocket>("/maxframe", websocket(WebSocketOptions::new().max_frame_size(1024)))
        .socket::<UserSocket>("/compress", websocket(WebSocketOptions::new().compress(true)))
        .socket::<UserSocket>("/subproto", websocket(WebSocketOptions::new().subprotocols(["foo", "bar"])))
        .socket::<OpenSocket>("/maxch", defaults().max_channels(3))
        .socket::<OpenSocket>("/connect2", SocketOptions::new())
        .socket::<UserSocket>("/lponly", defaults().without_websocket())
        .socket::<UserSocket>("/wsonly", SocketOptions::new())
        .socket::<UserSocket>(
            "/v1only",
            both(WebSocketOptions::new().serializers(only_v1.clone()), lp().serializers(only_v1)),
        )
        .socket::<UserSocket>(
            "/lpexpire",
            both(WebSocketOptions::new(), lp().max_age(seconds(2)).window(seconds(1))).without_websocket(),
        )
        .socket::<UserSocket>("/tenant/:tenant", tenant)
        .socket::<UserSocket>("/session", connect_info(session(), session()))
        .socket::<UserSocket>("/session_nocsrf", websocket(without_csrf))
        .socket::<BenchSocket>("/bench", defaults().max_channels(100_000))
        .build()?;
    app().keep(presence::start(endpoint.pubsub())?);
    Ok(endpoint)
}

fn websocket_info() -> ConnectInfoOptions {
    all_info().with_keys([ConnectInfoKey::SecWebsocketHeaders])
}

fn all_info() -> ConnectInfoOptions {
    ConnectInfoOptions::default()
        .with_keys([
            ConnectInfoKey::PeerData,
            ConnectInfoKey::XHeaders,
            ConnectInfoKey::Uri,
            ConnectInfoKey::UserAgent,
            ConnectInfoKey::TraceContextHeaders,
        ])
        .with_custom("custom", "kw")
}

/// The error handler of `/autherr`.
fn explain(refused: &Refused) -> Response<Bytes> {
    let (status, header, body) = match refused.reason() {
        Some(Denial::RateLimit { seconds }) => (
            StatusCode::TOO_MANY_REQUESTS,
            (header::RETRY_AFTER, seconds.to_string()),
            "Too many requests".to_owned(),
        ),
        Some(Denial::Unauthorized) | None => (
            StatusCode::UNAUTHORIZED,
            (header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned()),
            json!({"reason": "unauthorized"}).to_string(),
        ),
    };
    let (name, value) = header;
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(name, value.try_into().expect("plain text is a header value"));
    response
}
