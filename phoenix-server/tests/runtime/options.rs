//! The options of a mount, as a request meets them (FEATURES D).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{COOKIE, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use http::{Response, StatusCode};
use phoenix_server::{
    Answer, CheckOrigin, ConnectInfo, ConnectInfoOptions, CsrfState, DeflateOptions, Endpoint, HttpRequest,
    Refused, Requirement, Router, SecretKeyBase, Serializers, Session, SessionConfig, SessionStore, Socket,
    SocketOptions, UnixMillis, V2, WebSocketOptions,
};
use serde_json::{Value, json};

use crate::support::{RawClient, TestSocket, frame, probe, upgrade_request};

/// Refuses everybody with what it has learned.
struct Mirror;

impl Socket for Mirror {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        Err(Refused::because(json!({
            "token": info.auth_token, "custom": info.custom, "session": info.session.map(|session| session.0),
        })))
    }

    fn channels(_: &mut Router<Self>) {}
}

fn mirror(options: WebSocketOptions) -> Endpoint {
    let options = options.error_handler(|refused| {
        Response::new(Bytes::from(refused.reason::<Value>().expect("there is one").to_string()))
    });
    let options = SocketOptions::new().auth_token(true).websocket(options);
    Endpoint::builder().socket::<Mirror>("/socket", options).url_host("example.com").build().unwrap()
}

fn real(options: WebSocketOptions) -> Endpoint {
    Endpoint::builder()
        .socket::<TestSocket>("/socket", SocketOptions::new().websocket(options))
        .build()
        .unwrap()
}

fn request(query: &str) -> http::request::Builder {
    upgrade_request(&format!("/socket/websocket?vsn=2.0.0&{query}"))
}

async fn answer(endpoint: &Endpoint, request: http::request::Builder) -> (StatusCode, Value) {
    match endpoint.handle(HttpRequest::new(request.body(()).unwrap().into_parts().0)).await {
        Answer::Response(response) => {
            (response.status(), serde_json::from_slice(response.body()).unwrap_or_default())
        }
        answer => {
            let Answer::Upgrade(upgrade) = answer else { panic!("{answer:?}") };
            (upgrade.response().status(), Value::Null)
        }
    }
}

async fn open(endpoint: &Endpoint) -> RawClient {
    let request = request(&format!("probe={}", probe().name)).header(SEC_WEBSOCKET_EXTENSIONS, OFFER);
    let request = HttpRequest::new(request.body(()).unwrap().into_parts().0);
    let Answer::Upgrade(upgrade) = endpoint.handle(request).await else { panic!("it is refused") };
    let (stream, server) = tokio::io::duplex(1 << 20);
    RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) }
}

const OFFER: &str = "permessage-deflate; client_max_window_bits";

const HEARTBEAT: &[u8] = br#"[null,"1","phoenix","heartbeat",{}]"#;

#[tokio::test(start_paused = true)]
async fn d5_a_token_comes_as_a_subprotocol() {
    let endpoint = mirror(WebSocketOptions::new());
    let offering = |offer| request("").header(SEC_WEBSOCKET_PROTOCOL, offer);
    let (_, seen) = answer(&endpoint, offering("phoenix, base64url.bearer.phx.c2VjcmV0")).await;
    assert_eq!(seen["token"], "secret");
    let (status, _) = answer(&endpoint, offering("phoenix, base64url.bearer.phx.!")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn d8_the_serializers_are_those_of_the_mount() {
    let requirement: Requirement = "~> 2.0.0".parse().unwrap();
    let endpoint =
        real(WebSocketOptions::new().serializers(Serializers::new([(requirement, Arc::new(V2) as _)])));
    let probe = probe();
    for (vsn, status) in [("2.0.0", 101), ("2.0.7", 101), ("1.0.0", 403), ("2.1.0", 403)] {
        let target = format!("/socket/websocket?probe={}&vsn={vsn}", probe.name);
        assert_eq!(answer(&endpoint, upgrade_request(&target)).await.0.as_u16(), status, "{vsn}");
    }
}

#[tokio::test(start_paused = true)]
async fn d10_and_d41_origins_are_checked_in_every_form() {
    let list = CheckOrigin::list(["https://*.example.org"]).unwrap();
    let custom = CheckOrigin::custom(|origin| origin.as_str() == "null");
    for (policy, allowed, refused) in [
        (CheckOrigin::Host, "http://example.com:81", "http://localhost"),
        (list, "https://a.example.org", "http://a.example.org"),
        (CheckOrigin::Conn, "http://localhost", "https://localhost"),
        (custom, "null", "http://example.com"),
    ] {
        let endpoint = mirror(WebSocketOptions::new().check_origin(policy.clone()));
        assert_eq!(answer(&endpoint, request("").header("origin", allowed)).await.0, 200, "{policy:?}");
        assert_eq!(answer(&endpoint, request("").header("origin", refused)).await.0, 403, "{policy:?}");
        assert_eq!(answer(&endpoint, request("")).await.0, 200, "{policy:?}");
    }
    let endpoint = mirror(WebSocketOptions::new().check_origin(CheckOrigin::Off));
    assert_eq!(answer(&endpoint, request("").header("origin", "https://evil.example")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn d36_and_d38_sessions_by_function_and_own_values() {
    let secret = SecretKeyBase::new("s".repeat(64)).unwrap();
    let store = Arc::new(SessionStore::new(SessionConfig::new("_app", "salt"), &secret).unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (source, count) = (Arc::clone(&store), Arc::clone(&asked));
    let info = ConnectInfoOptions::default().with_custom("region", "eu").with_session_from(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&source)
    });
    let endpoint = mirror(WebSocketOptions::new().connect_info(info));
    let csrf = CsrfState::new([7; 18]);
    let Value::Object(session) = json!({"user": 1, "_csrf_token": csrf.as_str()}) else { panic!() };
    // The clock of the store is the real one.
    let cookie = store.encode(&Session(session.clone()), UnixMillis(0));
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = csrf.mask([9; 18]);

    let (_, seen) = answer(&endpoint, request(&format!("_csrf_token={token}")).header(COOKIE, &cookie)).await;
    assert_eq!(seen, json!({"token": null, "custom": {"region": "eu"}, "session": session}));
    let (_, seen) = answer(&endpoint, request("_csrf_token=forged").header(COOKIE, &cookie)).await;
    assert_eq!(seen["session"], Value::Null);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn d17_frames_and_messages_have_a_largest_size() {
    let endpoint = real(WebSocketOptions::new().max_frame_size(100).max_message_size(150));
    let fits = frame(0x81, HEARTBEAT);
    assert!(fits.len() < 100);
    let mut client = open(&endpoint).await;
    client.send_frame(0x81, HEARTBEAT).await;
    assert_eq!(client.recv_frame().await.0, 0x81);
    client.send_frame(0x81, &[b' '; 95]).await;
    client.expect_close(1009).await;

    let mut client = open(&endpoint).await;
    client.send_frame(0x01, &[b' '; 90]).await;
    client.send_frame(0x80, &[b' '; 90]).await;
    client.expect_close(1009).await;
}

#[tokio::test(start_paused = true)]
async fn d19_and_d24_compression_is_tuned_by_the_mount() {
    let probe = probe();
    for (options, expected) in [
        (WebSocketOptions::new(), None),
        (WebSocketOptions::new().compress(true), Some("permessage-deflate;client_max_window_bits=15")),
        (
            WebSocketOptions::new().deflate(DeflateOptions::new().server_context_takeover(false)),
            Some("permessage-deflate;server_no_context_takeover;client_max_window_bits=15"),
        ),
        (
            WebSocketOptions::new().deflate(DeflateOptions::new().client_context_takeover(false)),
            Some("permessage-deflate;client_no_context_takeover;client_max_window_bits=15"),
        ),
    ] {
        let request = request(&format!("probe={}", probe.name)).header(SEC_WEBSOCKET_EXTENSIONS, OFFER);
        let request = HttpRequest::new(request.body(()).unwrap().into_parts().0);
        let Answer::Upgrade(upgrade) = real(options).handle(request).await else { panic!("it is refused") };
        let answered = upgrade.response().headers().get(SEC_WEBSOCKET_EXTENSIONS);
        assert_eq!(answered.map(|value| value.to_str().unwrap()), expected);
    }

    // A message that inflates to more than 25 times its size closes the connection with 1009, if that is not allowed.
    let mut bomb = Vec::with_capacity(1 << 16);
    let message = json!([null, "1", "phoenix", "heartbeat", {"zeros": "0".repeat(100_000)}]).to_string();
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(message.as_bytes(), &mut bomb, flate2::FlushCompress::Sync).unwrap();
    bomb.truncate(bomb.len() - 4);
    for (ratio, code) in [(25, Some(1009)), (100_000, None)] {
        let options = DeflateOptions::new().max_inflate_ratio(ratio);
        let mut client = open(&real(WebSocketOptions::new().deflate(options))).await;
        client.send_frame(0xC1, &bomb).await;
        match code {
            Some(code) => client.expect_close(code).await,
            None => assert_eq!(client.recv_frame().await.0, 0xC1),
        }
    }
}
