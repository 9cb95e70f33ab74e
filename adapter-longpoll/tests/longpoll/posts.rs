//! What clients post: protocol §15.6.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use phoenix_server::LongPollOptions;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, endpoint, endpoint_with, json_of, send};

/// Posts a body with its content type to a fresh session; what is polled then.
async fn posted(content_type: Option<&str>, body: &'static [u8]) -> (u64, serde_json::Value) {
    let client = Client::open(&endpoint()).await;
    client.join().await;
    let mut request = client.request(Method::POST, "");
    request.headers_mut().remove("content-type");
    if let Some(content_type) = content_type {
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
    }
    *request.body_mut() = Bytes::from_static(body);
    let start = Instant::now();
    let status = json_of(send(&client.endpoint, request).await)["status"].as_u64().unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    (status, client.get().await)
}

#[tokio::test(start_paused = true)]
async fn lines_are_messages() {
    let reply = |reference: &str, response: serde_json::Value| json!(["1", reference, "room:1", "phx_reply", {"status": "ok", "response": response}]);
    let ndjson = Some("application/x-ndjson");
    let echo = |reference| reply(reference, json!({}));
    for (content_type, body, expected) in [
        (
            ndjson,
            &b"[\"1\",\"2\",\"room:1\",\"echo\",{}]\n[\"1\",\"3\",\"room:1\",\"echo\",{}]"[..],
            vec![echo("2"), echo("3")],
        ),
        (
            ndjson,
            b"\r\n[\"1\",\"2\",\"room:1\",\"echo\",{}]\r\n\n[\"1\",\"3\",\"room:1\",\"echo\",{}]\n",
            vec![echo("2"), echo("3")],
        ),
        (None, b"[\"1\",\"2\",\"room:1\",\"echo\",{}]", vec![echo("2")]),
        (Some("application/json"), b"[\"1\",\"2\",\"room:1\",\"echo\",{}]", vec![echo("2")]),
        (
            Some("application/x-ndjson; charset=utf-8"),
            b"[\"1\",\"2\",\"room:1\",\"echo\",{}]",
            vec![echo("2")],
        ),
        (ndjson, b"AAEBBgQxMnJvb206MXNpemUBAgM=", vec![reply("2", json!({"size": 3}))]),
    ] {
        let (status, polled) = posted(content_type, body).await;
        assert_eq!((status, &polled["status"]), (200, &json!(200)), "{body:?}");
        let messages: Vec<serde_json::Value> = polled["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| serde_json::from_str(text.as_str().unwrap()).unwrap())
            .collect();
        assert_eq!(messages, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_ends_the_session_at_once() {
    let ndjson = Some("application/x-ndjson");
    for (content_type, body) in [
        (ndjson, &b"[not json"[..]),
        (ndjson, b"AAAA"),
        (ndjson, b"[\"1\",\"2\",\"room:1\",\"echo\",{}]\n[bad\n[\"1\",\"3\",\"room:1\",\"echo\",{}]"),
        (None, b""),
        (
            Some("application/json"),
            b"[\"1\",\"2\",\"room:1\",\"echo\",{}]\n[\"1\",\"3\",\"room:1\",\"echo\",{}]",
        ),
        // As phoenix.js 1.5 posts binary messages.
        (None, b"\x00\x01\x01\x06\x0412room:1size\xff"),
    ] {
        let (status, polled) = posted(content_type, body).await;
        assert_eq!((status, &polled["status"]), (410, &json!(410)), "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_no_base64_do_not_reach_the_session() {
    let client = Client::open(&endpoint()).await;
    client.join().await;
    for line in ["not base64!", "AAEBBgQxMnJvb206MXNpemUBAgM", " [\"1\",\"2\",\"room:1\",\"echo\",{}]", "{}"]
    {
        let lines = format!("[\"1\",\"2\",\"room:1\",\"echo\",{{}}]\n{line}");
        let response = send(&client.endpoint, client.request(Method::POST, &lines)).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{line}");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    client.silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_lines_are_read() {
    let client = Client::open(&endpoint()).await;
    client.join().await;
    let lines: Vec<_> = (0..105).map(|number| format!(r#"["1","{number}","room:1","echo",{{}}]"#)).collect();
    assert_eq!(client.post(&lines.join("\n")).await, 200);
    assert_eq!(client.messages().await.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn bodies_have_a_limit() {
    let client = Client::open(&endpoint_with(LongPollOptions::new().max_body_size(100))).await;
    client.join().await;
    let message = |size: usize| format!(r#"["1","2","room:1","echo",{{}}]{}"#, " ".repeat(size - 28));
    assert_eq!(message(100).len(), 100);
    assert_eq!(client.post(&message(100)).await, 200);
    assert_eq!(client.messages().await.len(), 1);
    let response = send(&client.endpoint, client.request(Method::POST, &message(101))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    client.silence().await;
}

#[tokio::test(start_paused = true)]
async fn lines_are_handled_one_after_the_other() {
    let client = Client::open(&endpoint()).await;
    client.join().await;
    let lines = [r#"["1","2","room:1","phx_leave",{}]"#, r#"[null,"3","room:1","echo",{}]"#];
    assert_eq!(client.post(&lines.join("\n")).await, 200);
    let messages = client.messages().await;
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages[2].contains("unmatched topic"));
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_not_taken_within_the_window_times_out() {
    let client = Client::open(&endpoint()).await;
    client.join().await;
    let hang = [r#"["1","2","room:1","hang",{}]"#; 100].join("\n");
    let start = Instant::now();
    assert_eq!(client.post(&hang).await, 200);
    assert_eq!(client.post(&hang).await, 200);
    assert_eq!(start.elapsed(), Duration::ZERO);
    // The channel is now 300 messages behind, which is more than a connection takes.
    assert_eq!(client.post(&hang).await, 408);
    assert_eq!(client.post(&hang).await, 408);
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}
