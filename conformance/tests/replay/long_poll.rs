//! How a server spreads the messages of a session over polls is its own business.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use phoenix_conformance::net::{Dial, Stream};
use phoenix_conformance::recording::Recording;
use phoenix_conformance::{Kind, Replay, Report};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

#[tokio::test(start_paused = true)]
async fn messages_may_come_in_other_polls_than_recorded() {
    for batches in [
        &[&["a", "b"][..], &["c"]][..],
        &[&["a"], &["b"], &["c"]],
        &[&["a", "b", "c"]],
        &[&["a"], &["b", "c"]],
    ] {
        let report = replay(batches).await;
        assert!(report.is_ok(), "{batches:?}\n{}", report.to_text());
    }
}

#[tokio::test(start_paused = true)]
async fn lost_and_reordered_messages_are_noticed() {
    for (batches, kinds) in [
        (&[&["a"][..], &["c"]][..], &[Kind::Missing, Kind::Body][..]),
        (&[&["b", "a"], &["c"]], &[Kind::Missing, Kind::Extra]),
        (&[&["a", "b"], &["c", "d"]], &[Kind::Extra]),
    ] {
        let report = replay(batches).await;
        let found: Vec<Kind> =
            report.outcomes[0].differences.iter().map(|difference| difference.kind).collect();
        assert_eq!(found, kinds, "{batches:?}\n{}", report.to_text());
    }
}

/// Replays a session with one poll of two messages and one of a single message against a server with these batches.
async fn replay(batches: &[&[&str]]) -> Report {
    let batches = batches.iter().map(|batch| body(batch, "actual")).collect();
    let recording = Recording::parse("session", recorded().iter().map(String::as_str)).unwrap();
    Replay::with_dial(Arc::new(Server(Arc::new(Mutex::new(batches)))), "127.0.0.1:4000")
        .recordings([recording])
        .run()
        .await
        .unwrap()
}

fn recorded() -> Vec<String> {
    let mut lines = vec![r#"{"t":0,"kind":"meta","scenario":"session"}"#.to_owned()];
    for (number, messages) in [(1, &[][..]), (2, &["a", "b"]), (3, &["c"])] {
        let token = if number == 1 { "" } else { "&token=recorded" };
        let wire = |t: u32, dir: &str, rest: &str| {
            format!(r#"{{"t":{t},"client":"A","conn":{number},"dir":"{dir}","transport":"longpoll",{rest}}}"#)
        };
        let request = format!(
            r#""kind":"request","method":"GET","path":"/socket/longpoll","query":"vsn=2.0.0{token}","version":"HTTP/1.1","headers":[],"body":"""#
        );
        let body = serde_json::Value::from(body(messages, "recorded"));
        let response = format!(
            r#""kind":"response","status":200,"reason":"OK","version":"HTTP/1.1","headers":[],"body":{body}"#
        );
        lines.push(wire(number * 10, "c2s", &request));
        lines.push(wire(number * 10 + 1, "s2c", &response));
        lines.push(wire(number * 10 + 2, "s2c", r#""kind":"tcp_fin""#));
        lines.push(wire(number * 10 + 3, "c2s", r#""kind":"tcp_fin""#));
    }
    lines
}

fn body(messages: &[&str], token: &str) -> String {
    let messages: Vec<String> =
        messages.iter().map(|event| format!(r#"[null,null,"t","{event}",{{}}]"#)).collect();
    let status = if messages.is_empty() { 410 } else { 200 };
    serde_json::json!({"messages": messages, "status": status, "token": token}).to_string()
}

/// Answers one request per connection: the first with a token, the others with the next batch, or 204 without one.
struct Server(Arc<Mutex<VecDeque<String>>>);

impl Dial for Server {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let (client, mut server) = duplex(4096);
        let batches = self.0.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            let length = server.read(&mut buffer).await.unwrap();
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let body = if request.contains("token=") {
                assert!(request.contains("token=actual"), "{request}");
                let none = || r#"{"messages":[],"status":204,"token":"actual"}"#.to_owned();
                batches.lock().unwrap().pop_front().unwrap_or_else(none)
            } else {
                body(&[], "actual")
            };
            let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            server.write_all(response.as_bytes()).await.unwrap();
        });
        Box::pin(async move { Ok(Stream::new(client)) })
    }
}
