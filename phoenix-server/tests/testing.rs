//! The test kit, used as an application uses it (FEATURES M; the cases are those of `Phoenix.ChannelTest`).

use std::time::Duration;

use futures_util::FutureExt;
use phoenix_server::testing::{JoinRefused, TestChannel, TestSocket};
use phoenix_server::{
    Broadcast, Channel, CloseCode, ConnectInfo, ConnectInfoKey, ConnectInfoOptions, Context, Crash, End,
    Endpoint, Flow, JoinError, Payload, Refused, Router, Socket, SocketOptions, Status, WebSocketOptions,
};
use serde_json::{Value, json};
use tokio::time::Instant;

struct UserSocket {
    user: String,
    facts: Value,
}

impl Socket for UserSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        let user = info.params.text("user").ok_or_else(Refused::new)?.to_owned();
        let facts = json!({
            "agent": info.user_agent, "token": info.auth_token,
            "peer": info.peer_data.and_then(|peer| peer.address).map(|address| address.to_string()),
            "scheme": info.uri.map(|uri| uri.scheme),
        });
        Ok(Self { user, facts })
    }

    fn id(&self) -> Option<String> {
        Some(format!("users:{}", self.user))
    }

    fn channels(router: &mut Router<Self>) {
        router.channel_with::<Room>("room:*", "data");
    }
}

struct Room;

impl Channel for Room {
    type Socket = UserSocket;
    type Info = String;
    const INTERCEPTS: &'static [&'static str] = &["stop", "tapped"];

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        match params.parse::<Value>()?["join"].as_str() {
            Some("refuse") => return Err(JoinError::refuse(json!({"reason": "not you"}))),
            Some("panic") => panic!("join"),
            _ => {}
        }
        let reply = json!({"user": cx.socket().user, "data": cx.route_data::<&str>(), "params": params.parse::<Value>()?});
        Ok((Self, reply.into()))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "noreply" => cx.push("noreply", payload)?,
            "reply" => return Ok(Flow::ok(payload)),
            "bare" => return Ok(Flow::reply(Status::ERROR)),
            "later" => {
                let reply = cx.reply_to()?;
                tokio::spawn(async move { reply.send(Status::OK, payload) });
            }
            "facts" => return Ok(Flow::ok(cx.socket().facts.clone())),
            "broadcast" => cx.broadcast("shout", payload)?,
            "crash" => return Err(Crash::unhandled(event)),
            "stop" => return Ok(Flow::Stop),
            "stop_with" => return Ok(Flow::StopWith(Status::OK, payload)),
            "inform" => cx.handle().send("informed".to_owned())?,
            "subscribe" => cx.subscribe("news", |broadcast| broadcast.event.to_string()),
            _ => {}
        }
        Ok(Flow::Continue)
    }

    async fn handle_out(&mut self, broadcast: &Broadcast, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        if broadcast.event == "stop" {
            return Ok(Flow::Stop);
        }
        cx.push("tapped", json!({"by": cx.socket().user}))?;
        Ok(Flow::Continue)
    }

    async fn handle_info(&mut self, info: String, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        if info == "stop" {
            return Ok(Flow::Stop);
        }
        cx.push(&info, Payload::EMPTY)?;
        cx.broadcast_from(info, Payload::EMPTY)?;
        Ok(Flow::Continue)
    }

    async fn terminate(&mut self, end: End, cx: &mut Context<Self>) {
        if cx.topic() == "room:slow" {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        if cx.topic() == "room:stubborn" {
            std::future::pending::<()>().await;
        }
        let _ = cx.pubsub().broadcast("ends", end.to_string(), Payload::EMPTY);
    }
}

fn endpoint() -> Endpoint {
    use ConnectInfoKey::{PeerData, Uri, UserAgent};
    let info = ConnectInfoOptions::default().with_keys([PeerData, Uri, UserAgent]);
    let options = SocketOptions::new().auth_token(true).websocket(WebSocketOptions::new().connect_info(info));
    Endpoint::builder().socket::<UserSocket>("/socket/:tenant", options).build().unwrap()
}

async fn joined(endpoint: &Endpoint) -> (TestSocket, TestChannel) {
    let socket = TestSocket::connect(endpoint, "/socket/a?user=me").await.unwrap();
    let (_, room) = socket.subscribe_and_join("room:a", json!({})).await.unwrap();
    (socket, room)
}

#[tokio::test(start_paused = true)]
async fn ct_14_and_15_connect_asks_the_socket() {
    let endpoint = endpoint();
    assert!(TestSocket::connect(&endpoint, "/socket/a").await.is_err());
    assert!(TestSocket::connect(&endpoint, "/nowhere").await.is_err());
    let request = TestSocket::request("/socket/a")
        .param("user", "J & K")
        .header("user-agent", "test")
        .auth_token("c2VjcmV0")
        .peer("10.0.0.1:7".parse().unwrap())
        .tls();
    let socket = request.connect(&endpoint).await.unwrap();
    assert_eq!(endpoint.connections(), 1);

    let (reply, room) = socket.join("room:a", json!({"a": 1})).await.unwrap();

    assert_eq!(reply, json!({"user": "J & K", "data": "data", "params": {"a": 1}}).into());
    let facts = room.push("facts", json!({}));
    let facts = room.assert_reply(&facts, Status::OK, ()).await.parse::<Value>().unwrap();
    assert_eq!(facts["agent"], "test");
    assert_eq!(facts["peer"], "10.0.0.1:7");
    assert_eq!(facts["scheme"], "https");
    assert!(facts["token"].is_string());
}

#[tokio::test(start_paused = true)]
async fn ct_01_a_socket_may_be_had_without_connect() {
    let endpoint = endpoint();
    let socket = TestSocket::with(&endpoint, UserSocket { user: "made".to_owned(), facts: Value::Null });
    let (reply, room) = socket.join("room:a", json!({})).await.unwrap();
    assert_eq!(reply.parse::<Value>().unwrap()["user"], "made");
    endpoint.broadcast("room:a", "shout", json!({})).unwrap();
    room.assert_push("shout", ()).await;
    endpoint.disconnect("users:made").unwrap();
    socket.assert_closed(CloseCode::GOING_AWAY).await;
}

#[tokio::test(start_paused = true)]
async fn ct_04_and_05_refused_joins_have_a_reason() {
    let endpoint = endpoint();
    let socket = TestSocket::connect(&endpoint, "/socket/a?user=me").await.unwrap();
    for (topic, join, reason) in [
        ("room:a", "refuse", "not you"),
        ("room:a", "panic", "join crashed"),
        ("nowhere", "", "unmatched topic"),
    ] {
        let refused = socket.join(topic, json!({"join": join})).await.unwrap_err();
        assert_eq!(refused, JoinRefused(json!({"reason": reason}).into()));
    }
}

#[tokio::test(start_paused = true)]
async fn ct_06_to_09_replies_and_pushes() {
    let endpoint = endpoint();
    let (_socket, room) = joined(&endpoint).await;

    let reference = room.push("noreply", json!({"a": [1, {"b": 2}]}));
    assert_eq!(room.assert_push("noreply", json!({"a": [1, {}]})).await, json!({"a": [1, {"b": 2}]}).into());
    room.refute_reply(&reference, Status::OK, ()).await;

    let reference = room.push("reply", json!({"a": 1, "b": 2}));
    room.refute_reply(&reference, Status::ERROR, ()).await;
    room.refute_reply(&reference, Status::OK, json!({"a": 2})).await;
    room.assert_reply(&reference, Status::OK, json!({"a": 1})).await;
    room.refute_reply(&reference, Status::OK, ()).await;
    let reference = room.push("reply", bytes::Bytes::from_static(b"\0\xff"));
    room.assert_reply(&reference, Status::OK, Payload::from(bytes::Bytes::from_static(b"\0\xff"))).await;
    let reference = room.push("bare", json!({}));
    room.assert_reply(&reference, Status::ERROR, |payload: &Payload| *payload == Payload::EMPTY).await;
    let reference = room.push("later", json!({"n": 1}));
    room.assert_reply(&reference, Status::OK, json!({"n": 1})).await;
}

#[tokio::test(start_paused = true)]
async fn ct_10_to_12_ends_of_a_channel() {
    let endpoint = endpoint();
    let mut ends = endpoint.pubsub().subscribe("ends");
    for (event, end) in [("crash", "crashed"), ("stop", "normal"), ("stop_with", "normal")] {
        let (_socket, room) = joined(&endpoint).await;
        let reference = room.push(event, json!({"last": 1}));
        if event == "stop_with" {
            room.assert_reply(&reference, Status::OK, json!({"last": 1})).await;
        }
        assert_eq!(ends.recv().await.unwrap().event, end);
        match event {
            "crash" => room.assert_crashed().await,
            _ => room.assert_closed().await,
        }
        // To a channel that is gone one may push all the same.
        let reference = room.push("reply", json!({}));
        room.assert_reply(&reference, Status::ERROR, json!({"reason": "unmatched topic"})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ct_13_and_16_broadcasts() {
    let endpoint = endpoint();
    let (_socket, mut room) = joined(&endpoint).await;

    room.refute_broadcast("shout", ()).await;
    room.push("broadcast", json!({"n": 1, "more": 2}));
    room.assert_broadcast("shout", json!({"n": 1})).await;
    room.assert_push("shout", json!({"n": 1})).await;

    // In whatever order they are asked for.
    for n in 1..=3 {
        room.push("broadcast", json!({"n": n}));
    }
    for n in [2, 3, 1] {
        room.assert_broadcast("shout", json!({"n": n})).await;
        room.assert_push("shout", json!({"n": n})).await;
    }
    room.refute_push("shout", ()).await;

    room.broadcast_from("others", json!({})).unwrap();
    room.assert_push("others", ()).await;
    room.refute_broadcast("others", ()).await;
}

#[tokio::test(start_paused = true)]
async fn ct_17_to_19_and_26_intercepts_and_infos() {
    let endpoint = endpoint();
    let (_socket, mut room) = joined(&endpoint).await;

    endpoint.broadcast("room:a", "tapped", json!({})).unwrap();
    room.assert_push("tapped", json!({"by": "me"})).await;
    room.push("inform", json!({}));
    room.assert_push("informed", ()).await;
    room.assert_broadcast("informed", ()).await;
    room.push("subscribe", json!({}));
    room.refute_push("fresh", ()).await;
    endpoint.broadcast("news", "fresh", json!({})).unwrap();
    room.assert_push("fresh", ()).await;
    endpoint.broadcast("room:a", "stop", json!({})).unwrap();
    room.assert_closed().await;

    let (_socket, room) = joined(&endpoint).await;
    room.push("subscribe", json!({}));
    room.refute_push("fresh", ()).await;
    endpoint.broadcast("news", "stop", json!({})).unwrap();
    room.assert_closed().await;
}

#[tokio::test(start_paused = true)]
async fn ct_22_to_24_leaving_and_closing() {
    let endpoint = endpoint();
    let mut ends = endpoint.pubsub().subscribe("ends");
    let (socket, room) = joined(&endpoint).await;
    for _ in 0..2 {
        let reference = room.leave();
        room.assert_reply(&reference, Status::OK, ()).await;
    }
    room.assert_closed().await;
    assert_eq!(ends.recv().await.unwrap().event, "left");

    socket.join("room:slow", json!({})).await.unwrap();
    let start = Instant::now();
    socket.close().await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(ends.recv().now_or_never().unwrap().unwrap().event, "peer_closed");
    assert_eq!(endpoint.connections(), 0);

    let socket = TestSocket::connect(&endpoint, "/socket/a?user=me").await.unwrap();
    socket.join("room:stubborn", json!({})).await.unwrap();
    let start = Instant::now();
    socket.close().await;
    assert_eq!(start.elapsed().as_secs(), 5);
    assert!(ends.recv().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn ct_28_a_socket_can_be_disconnected_and_drained() {
    let endpoint = endpoint();
    let (socket, _room) = joined(&endpoint).await;
    endpoint.disconnect("users:me").unwrap();
    socket.assert_closed(CloseCode::GOING_AWAY).await;
    let (socket, _room) = joined(&endpoint).await;
    endpoint.drain();
    socket.assert_closed(CloseCode::RESTART).await;
}

#[tokio::test(start_paused = true)]
async fn channels_of_one_socket_are_told_apart_and_work_from_any_task() {
    let endpoint = endpoint();
    let (socket, one) = joined(&endpoint).await;
    let (_, two) = socket.join("room:b", json!({})).await.unwrap();
    let other_task = tokio::spawn(async move {
        let reference = two.push("reply", json!({"for": "two"}));
        two.assert_reply(&reference, Status::OK, json!({"for": "two"})).await;
        two.push("noreply", json!({}));
        two
    });
    let two = other_task.await.unwrap();
    one.refute_push("noreply", ()).await;
    two.assert_push("noreply", ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_assertion_shows_what_arrived() {
    let endpoint = endpoint();
    let socket =
        TestSocket::connect(&endpoint, "/socket/a?user=me").await.unwrap().patience(Duration::from_secs(2));
    let (_, room) = socket.join("room:a", json!({})).await.unwrap();
    room.push("noreply", json!({"an": "other"}));
    let start = Instant::now();

    let failed =
        std::panic::AssertUnwindSafe(room.assert_push("noreply", json!({"a": 1}))).catch_unwind().await;

    let message = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("noreply") && message.contains("other"), "{message}");
    assert_eq!(start.elapsed().as_secs(), 2);
}
