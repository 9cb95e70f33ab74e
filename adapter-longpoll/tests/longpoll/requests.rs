//! What requests get before there is a session, and whatever they are: protocol §15.2–15.4.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use phoenix_server::{CheckOrigin, Endpoint, LongPollOptions, SocketOptions};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, endpoint, endpoint_with, json_of, mounted, secret, send};

fn request(method: Method, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

async fn status(endpoint: &Endpoint, uri: &str) -> serde_json::Value {
    json_of(send(endpoint, request(Method::GET, uri).body(Bytes::new()).unwrap()).await)["status"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_browser_may_ask_from_everywhere() {
    let endpoint = endpoint();
    let preflight = request(Method::OPTIONS, "/socket/longpoll")
        .header("origin", "http://localhost")
        .header("access-control-request-headers", "content-type")
        .header("access-control-request-headers", "x-phoenix-authtoken");
    let mut response = send(&endpoint, preflight.body(Bytes::new()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body_mut().take(), "");
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "content-type, x-phoenix-authtoken"),
        ("access-control-allow-methods", "get, post, options"),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(response.headers()[name], value);
    }

    let client = Client::open(&endpoint).await;
    for response in [client.poll().await, send(&endpoint, client.request(Method::POST, "")).await] {
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    }
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_bad() {
    let endpoint = endpoint();
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD] {
        let mut response =
            send(&endpoint, request(method, "/socket/longpoll").body(Bytes::new()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.body_mut().take(), "");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_origin_gets_nothing_by_any_method() {
    let options = LongPollOptions::new().check_origin(CheckOrigin::list(["//example.com"]).unwrap());
    let endpoint = endpoint_with(options);
    for method in [Method::GET, Method::POST, Method::OPTIONS, Method::PUT] {
        let refused = request(method, "/socket/longpoll").header("origin", "http://other.com");
        let response = send(&endpoint, refused.body(Bytes::new()).unwrap()).await;
        assert!(!response.headers().contains_key("access-control-allow-headers"));
        assert_eq!(json_of(response), json!({"status": 403}));
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_told_403() {
    let endpoint =
        mounted(Endpoint::builder(), SocketOptions::new().longpoll(LongPollOptions::new()).auth_token(true));
    assert_eq!(status(&endpoint, "/socket/longpoll").await, 410);
    assert_eq!(status(&endpoint, "/socket/longpoll/?vsn=1.0.0").await, 410);
    for query in ["vsn=3.0.0", "vsn[]=2.0.0", "connect=refuse", "connect=token"] {
        assert_eq!(status(&endpoint, &format!("/socket/longpoll?{query}")).await, 403, "{query}");
    }
    let authorised =
        request(Method::GET, "/socket/longpoll?connect=token").header("x-phoenix-authtoken", "secret");
    let opened = json_of(send(&endpoint, authorised.body(Bytes::new()).unwrap()).await);
    assert_eq!(opened["status"], 410);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_or_fails_is_an_http_error() {
    let endpoint = endpoint();
    for (query, status) in [("a=%ff", 400), ("connect=panic", 500)] {
        let request = request(Method::GET, &format!("/socket/longpoll?{query}")).body(Bytes::new()).unwrap();
        let response = send(&endpoint, request).await;
        assert_eq!(response.status(), status, "{query}");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn mounts_do_not_have_it_by_default() {
    let endpoint = mounted(Endpoint::builder(), SocketOptions::new());
    assert!(!endpoint.serves("/socket/longpoll"));
    let options =
        SocketOptions::new().without_websocket().longpoll(LongPollOptions::new().path("/lp/:device"));
    let endpoint = mounted(Endpoint::builder(), options);
    assert!(endpoint.serves("/socket/lp/7"));
    assert_eq!(endpoint.paths().collect::<Vec<_>>(), ["/socket/lp/:device"]);
}

#[tokio::test(start_paused = true)]
async fn the_token_may_be_in_a_header_which_counts_more() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    let with_header = |method, query: &str, token: &str| {
        let request = request(method, &format!("/socket/longpoll?vsn=2.0.0&{query}"));
        request.header("x-phoenix-longpoll-token", token).body(Bytes::new()).unwrap()
    };
    let post = send(&endpoint, with_header(Method::POST, "", &client.token)).await;
    // An empty body of another type than ND-JSON is a message that is none.
    assert_eq!(json_of(post), json!({"status": 410}));

    let client = Client::open(&endpoint).await;
    let poll = json_of(send(&endpoint, with_header(Method::GET, "token=bad", &client.token)).await);
    assert_eq!(poll, json!({"messages": [], "status": 204, "token": client.token}));
    let query = format!("token={}", client.token);
    assert_eq!(json_of(send(&endpoint, with_header(Method::GET, &query, "bad")).await)["status"], 410);
    assert_eq!(json_of(send(&endpoint, with_header(Method::POST, &query, "bad")).await)["status"], 410);
}

#[tokio::test(start_paused = true)]
async fn any_other_token_is_none() {
    let options = || SocketOptions::new().longpoll(LongPollOptions::new());
    let endpoint = mounted(Endpoint::builder().secret_key_base(secret("a")), options());
    let stranger = mounted(Endpoint::builder().secret_key_base(secret("b")), options());
    let client = Client::open(&endpoint).await;
    let foreign = Client::open(&stranger).await.token;
    let changed = format!("{}A", &client.token[..client.token.len() - 1]);
    let start = Instant::now();
    for token in ["", "garbage", &client.token[..client.token.len() - 1], &changed, &foreign] {
        let client = Client { token: token.to_owned(), ..client.clone() };
        client.assert_gone().await;
    }
    assert_eq!(start.elapsed().as_millis(), 0);
    assert_eq!(client.post("").await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_too_old_is_none() {
    let endpoint = endpoint_with(LongPollOptions::new().max_age(std::time::Duration::ZERO));
    Client::open(&endpoint).await.assert_gone().await;
}
