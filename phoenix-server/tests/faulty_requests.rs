//! Requests that are answered with an error and no connection (protocol §7.2).

use http::{Request, Response, StatusCode, Version, header};
use phoenix_server::{Answer, ConnectInfo, Endpoint, HttpRequest, Refused, Router, Socket, SocketOptions};

struct Fragile;

impl Socket for Fragile {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        panic!("on purpose")
    }

    fn channels(_: &mut Router<Self>) {}
}

#[tokio::test]
async fn a_panic_is_an_error_page_and_the_end_of_the_connection() {
    let response = answer(upgrade("/socket/websocket").header("host", "x")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.body(), &r#"{"errors":{"detail":"Internal Server Error"}}"#);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
    assert_eq!(response.headers()[header::CONNECTION], "close");
}

#[tokio::test]
async fn a_query_that_is_not_text_is_a_bad_request_with_a_page() {
    let response = answer(upgrade("/socket/websocket?a=%ff").header("host", "x")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.body(), &r#"{"errors":{"detail":"Bad Request"}}"#);
}

#[tokio::test]
async fn a_request_without_a_host_is_refused_first() {
    let response = answer(upgrade("/socket/websocket")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.body().is_empty());
    // HTTP/1.0 does not demand one, and gets as far as the socket.
    let response = answer(upgrade("/socket/websocket").version(Version::HTTP_10)).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

fn upgrade(target: &str) -> http::request::Builder {
    Request::get(target).header("connection", "upgrade").header("upgrade", "websocket")
}

async fn answer(request: http::request::Builder) -> Response<bytes::Bytes> {
    let endpoint = Endpoint::builder().socket::<Fragile>("/socket", SocketOptions::new()).build().unwrap();
    let facts = HttpRequest::new(request.body(()).unwrap().into_parts().0);
    match endpoint.handle(facts).await {
        Answer::Response(response) => response,
        other => panic!("{other:?}"),
    }
}
