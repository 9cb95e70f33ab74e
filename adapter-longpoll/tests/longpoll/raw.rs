//! Sockets without channels over long polling (FEATURES C10, C21).

use std::time::Duration;

use http::{Method, StatusCode};
use phoenix_server::{
    CloseCode, ConnectInfo, Crash, Endpoint, Frame, Incoming, LongPollOptions, RawContext, RawFlow,
    RawSocket, Refused, SocketOptions,
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, send};

/// Does what its messages say.
struct Scripted(String);

impl RawSocket for Scripted {
    type Info = String;

    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        match info.params.text("connect") {
            Some("refuse") => Err(Refused::because("a reason")),
            _ => Ok(Self(json!(info.params).to_string())),
        }
    }

    async fn init(&mut self, cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        cx.subscribe("news", |broadcast| broadcast.event.to_string());
        Ok(RawFlow::CONTINUE)
    }

    async fn handle_in(&mut self, message: Incoming, cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        let text = match message {
            Incoming::Text(text) => text,
            Incoming::Binary(bytes) => return Ok(RawFlow::reply(format!("{} bytes", bytes.len()))),
        };
        Ok(match &*text {
            "params" => RawFlow::reply(self.0.as_str()),
            "transport" => RawFlow::reply(cx.transport()),
            "silence" => RawFlow::CONTINUE,
            "frames" => RawFlow::reply(vec![1]).and(Frame::ping("")?).and("text"),
            "later" => {
                cx.handle().send("pong".to_owned())?;
                RawFlow::CONTINUE
            }
            "slow" => {
                tokio::time::sleep(Duration::from_secs(12)).await;
                RawFlow::reply("done")
            }
            "stop" => RawFlow::push("bye").and_stop(),
            "close" => RawFlow::close(CloseCode::new(4001)),
            "crash" => return Err(Crash::new("on purpose")),
            _ => RawFlow::reply(text),
        })
    }

    async fn handle_info(&mut self, info: String, _: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        Ok(RawFlow::push(info))
    }
}

fn endpoint() -> Endpoint {
    let options = SocketOptions::new().longpoll(LongPollOptions::new().path("longpoll"));
    Endpoint::builder().raw_socket::<Scripted>("/socket", options).build().unwrap()
}

/// Posts one message as it stands.
async fn post(client: &Client, text: &str) -> u64 {
    let mut request = client.request(Method::POST, text);
    request.headers_mut().remove("content-type");
    let answer = send(&client.endpoint, request).await;
    crate::support::json_of(answer)["status"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_polled() {
    let endpoint = endpoint();
    let client = Client::open_with(&endpoint, "&key=value").await;
    assert_eq!(post(&client, "params").await, 200);
    assert_eq!(client.messages().await, [r#"{"key":"value","token":"","vsn":"2.0.0"}"#]);
    assert_eq!(post(&client, "transport").await, 200);
    assert_eq!(post(&client, "no JSON at all").await, 200);
    assert_eq!(client.messages().await, ["longpoll", "no JSON at all"]);
    assert_eq!(post(&client, "silence").await, 200);
    client.silence().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_is_polled_too() {
    let client = Client::open(&endpoint()).await;
    let poll = client.waiting().await;
    assert_eq!(post(&client, "later").await, 200);
    assert_eq!(poll.await.unwrap()["messages"], json!(["pong"]));
    client.endpoint.broadcast("news", "hot", json!({})).unwrap();
    assert_eq!(client.messages().await, ["hot"]);
}

#[tokio::test(start_paused = true)]
async fn lines_are_messages_with_their_opcode() {
    let client = Client::open(&endpoint()).await;
    assert_eq!(client.post("[1]\nAQID\n[2]").await, 200);
    assert_eq!(client.messages().await, ["[1]", "3 bytes", "[2]"]);
}

#[tokio::test(start_paused = true)]
async fn only_text_reaches_the_client() {
    let client = Client::open(&endpoint()).await;
    assert_eq!(post(&client, "frames").await, 200);
    assert_eq!(client.messages().await, ["text"]);
}

#[tokio::test(start_paused = true)]
async fn c10_a_post_is_acknowledged_when_it_is_handled() {
    let client = Client::open(&endpoint()).await;
    let poll = client.waiting().await;
    let start = Instant::now();
    assert_eq!(post(&client, "slow").await, 408);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(poll.await.unwrap()["status"], 204);
    assert_eq!(client.messages().await, ["done"]);
    assert_eq!(start.elapsed(), Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn c12_c13_a_stop_is_acknowledged_and_the_session_over() {
    for message in ["stop", "close"] {
        let client = Client::open(&endpoint()).await;
        assert_eq!(post(&client, message).await, 200);
        client.assert_gone().await;
        assert_eq!(client.endpoint.connections(), 1, "the session that was opened by the poll");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_not_acknowledged() {
    let client = Client::open(&endpoint()).await;
    assert_eq!(post(&client, "crash").await, 410);
    client.assert_gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_and_inactivity_end_sessions() {
    let client = Client::open(&endpoint()).await;
    assert_eq!(client.endpoint.drain(), 1);
    client.assert_gone().await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(client.endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_403() {
    let endpoint = endpoint();
    let client =
        Client { endpoint: endpoint.clone(), query: "connect=refuse".to_owned(), token: String::new() };
    let answer = send(&endpoint, client.request(Method::GET, "")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(client.get().await, json!({"status": 403}));
}
