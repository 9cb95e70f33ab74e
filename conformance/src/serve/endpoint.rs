//! The mounts with their options.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use phoenix_server::{
    CheckOrigin, ConnectInfoKey, ConnectInfoOptions, Endpoint, Refused, Requirement, Serializer, Serializers,
    SocketOptions, V1, WebSocketOptions,
};
use serde_json::json;

use super::app::app;
use super::presence;
use super::sockets::{AuthErrSocket, AuthSocket, BenchSocket, Denial, OpenSocket, TokenSocket, UserSocket};

/// All mounts of the reference application.
pub(super) fn endpoint() -> Result<Endpoint, Box<dyn Error>> {
    let websocket = |options| SocketOptions::new().websocket(options);
    let defaults = SocketOptions::new;
    let check_origin = |policy| websocket(WebSocketOptions::new().check_origin(policy));
    let connect_info = |options| websocket(WebSocketOptions::new().connect_info(options));
    let session = || ConnectInfoOptions::default().with_session(Arc::clone(&app().sessions));
    let only_v1 = Serializers::new([(Requirement::compatible(1, 0, 0), Arc::new(V1) as Arc<dyn Serializer>)]);
    let tenant = WebSocketOptions::new()
        .path("/ws/:device")
        .connect_info(ConnectInfoOptions::default().with_keys([ConnectInfoKey::Uri]));
    let without_csrf = WebSocketOptions::new()
        .check_origin(CheckOrigin::list(["//localhost"])?)
        .connect_info(session().with_check_csrf(false));
    let token_info = ConnectInfoOptions::default()
        .with_keys([ConnectInfoKey::XHeaders, ConnectInfoKey::SecWebsocketHeaders]);

    let endpoint = Endpoint::builder()
        .check_origin(CheckOrigin::Off)
        .socket::<UserSocket>("/socket", connect_info(all_info()))
        .socket::<UserSocket>("/strict", check_origin(CheckOrigin::list(["//example.com"])?))
        .socket::<UserSocket>(
            "/strict_wild",
            check_origin(CheckOrigin::list(["https://*.example.com", "http://other.com:8080"])?),
        )
        .socket::<UserSocket>("/strict_true", check_origin(CheckOrigin::Host))
        .socket::<UserSocket>("/strict_conn", check_origin(CheckOrigin::Conn))
        .socket::<AuthSocket>("/auth", defaults())
        .socket::<AuthErrSocket>("/autherr", websocket(WebSocketOptions::new().error_handler(explain)))
        .socket::<AuthErrSocket>("/autherr_default", defaults())
        .socket::<TokenSocket>("/authtoken", connect_info(token_info).auth_token(true))
        .socket::<TokenSocket>(
            "/authtoken_sub",
            websocket(WebSocketOptions::new().subprotocols(["sip"])).auth_token(true),
        )
        .socket::<UserSocket>(
            "/short",
            websocket(WebSocketOptions::new().timeout(Duration::from_millis(1500))),
        )
        .socket::<UserSocket>("/maxframe", websocket(WebSocketOptions::new().max_frame_size(1024)))
        .socket::<UserSocket>("/compress", websocket(WebSocketOptions::new().compress(true)))
        .socket::<UserSocket>("/subproto", websocket(WebSocketOptions::new().subprotocols(["foo", "bar"])))
        .socket::<OpenSocket>("/maxch", defaults().max_channels(3))
        .socket::<OpenSocket>("/connect2", defaults())
        .socket::<UserSocket>("/lponly", defaults().without_websocket())
        .socket::<UserSocket>("/wsonly", defaults())
        .socket::<UserSocket>("/v1only", websocket(WebSocketOptions::new().serializers(only_v1)))
        .socket::<UserSocket>("/lpexpire", defaults().without_websocket())
        .socket::<UserSocket>("/tenant/:tenant", websocket(tenant))
        .socket::<UserSocket>("/session", connect_info(session()))
        .socket::<UserSocket>("/session_nocsrf", websocket(without_csrf))
        .socket::<BenchSocket>("/bench", defaults().max_channels(100_000))
        .build()?;
    app().presences.set(presence::start(endpoint.pubsub())?).expect("a process has one endpoint");
    Ok(endpoint)
}

fn all_info() -> ConnectInfoOptions {
    ConnectInfoOptions::default()
        .with_keys([
            ConnectInfoKey::SecWebsocketHeaders,
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
