//! Connections by WebSocket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use phoenix_client::{
    ChannelError, ChannelEvent, ChannelState, ClientSerializer, ConnectError, ConnectionEvent,
    ConnectionState, DecodeError, EncodeError, Incoming, JoinError, Outgoing, Params, PushError, Received,
    Socket, SocketBuilder, Status, Transport, V1, V2,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::server::{Arrivals, Peer, wires};

pub(crate) fn builder() -> (SocketBuilder, Arrivals) {
    let (connector, arrivals) = wires();
    (Socket::builder("ws://example.com/socket").connector(connector), arrivals)
}

/// A connected socket and the server's end.
pub(crate) async fn connected() -> (Socket, Peer, Arrivals) {
    let (builder, mut arrivals) = builder();
    let socket = builder.connect().unwrap();
    let peer = arrivals.accept().await;
    (socket, peer, arrivals)
}

#[tokio::test(start_paused = true)]
async fn a_channel_joins_and_pushes() {
    let (socket, mut peer, _arrivals) = connected().await;
    assert_eq!((peer.target.host.as_str(), peer.target.port), ("example.com", 80));
    assert_eq!(peer.request.uri(), "/socket/websocket?vsn=2.0.0");
    let room = socket.channel("room:1", json!({ "name": "ann" }));
    let joining = room.join();
    assert_eq!(room.state(), ChannelState::Joining);
    let join = peer.receive().await;
    assert_eq!(join, json!(["1", "1", "room:1", "phx_join", { "name": "ann" }]));
    peer.reply(&join, "ok", &json!({ "hello": 1 })).await;
    assert_eq!(joining.await.unwrap().payload.parse::<Value>().unwrap(), json!({ "hello": 1 }));

    let pushed = room.push("say", &json!({ "text": "x" }));
    let push = peer.receive().await;
    assert_eq!(push, json!(["1", "2", "room:1", "say", { "text": "x" }]));
    peer.reply(&push, "custom", &json!([1])).await;
    assert_eq!(pushed.await.unwrap().status, Status::new("custom"));
}

#[tokio::test(start_paused = true)]
async fn errors_tell_causes_apart() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    assert!(matches!(room.push("say", &()).await, Err(PushError::NotJoined)));
    let joining = room.join();
    let join = peer.receive().await;
    peer.reply(&join, "error", &json!({ "reason": "no" })).await;
    assert!(matches!(joining.await, Err(JoinError::Refused(reply)) if reply.status == Status::ERROR));
    assert_eq!(room.join().await, Err(JoinError::JoinedBefore));
    peer.join("room").await;

    let refused = room.push("refused", &json!({}));
    let push = peer.receive().await;
    peer.reply(&push, "error", &json!({})).await;
    assert!(matches!(refused.await, Err(PushError::Refused(_))));

    let ignored = room.push("ignored", &json!({}));
    peer.receive().await;
    assert!(matches!(ignored.await, Err(PushError::Timeout)));

    let crashing = room.push("crash", &json!({}));
    let push = peer.receive().await;
    peer.send(&json!([push[0], push[0], "room", "phx_error", {}])).await;
    assert!(matches!(crashing.await, Err(PushError::Channel)));

    peer.join("room").await;
    let lost = room.push("lost", &json!({}));
    peer.receive().await;
    peer.close(1001).await;
    assert!(matches!(lost.await, Err(PushError::ConnectionLost)));

    let waiting = room.push("waiting", &json!({}));
    room.leave();
    assert!(matches!(waiting.await, Err(PushError::Closed)));
    assert!(matches!(room.push("reserved", &json!({})).await, Err(PushError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn everything_is_re_established() {
    let (socket, mut peer, mut arrivals) = connected().await;
    let room = socket.channel("room", Params::function(|| json!({})));
    let mut events = room.events();
    let mut connection = socket.events();
    room.join();
    peer.join("room").await;
    assert!(matches!(events.next().await, Some(ChannelEvent::Joined(_))));
    peer.close(1012).await;
    let cause = ChannelError::ConnectionClosed;
    assert_eq!(events.next().await, Some(ChannelEvent::Errored(cause)));
    let pushed = room.push("waiting", &json!({}));
    let mut peer = arrivals.accept().await;
    peer.join("room").await;
    let push = peer.receive().await;
    assert_eq!(push[3], "waiting");
    peer.reply(&push, "ok", &json!({})).await;
    pushed.await.unwrap();
    loop {
        match connection.next().await.unwrap() {
            ConnectionEvent::Closed { closed, reconnecting } => {
                assert_eq!((closed.code, reconnecting), (1012, true));
                break;
            }
            ConnectionEvent::Opened(transport) => assert_eq!(transport, Transport::WebSocket),
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn binary_goes_both_ways() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("r", ());
    let mut events = room.events();
    room.join();
    peer.join("r").await;
    let pushed = room.push_binary("b", vec![0, 255]);
    let frame = peer.frame().await.unwrap();
    assert_eq!(frame, Message::Binary(b"\x00\x01\x01\x01\x0112rb\x00\xff".as_slice().into()));
    peer.send_frame(Message::Binary(b"\x01\x01\x01\x01\x0212rok\x07".as_slice().into())).await;
    assert_eq!(pushed.await.unwrap().payload.as_binary().unwrap()[..], [7]);
    peer.send_frame(Message::Binary(b"\x02\x01\x01rn\x08".as_slice().into())).await;
    events.next().await.unwrap();
    match events.next().await.unwrap() {
        ChannelEvent::Message(message) => assert_eq!(message.payload.as_binary().unwrap()[..], [8]),
        other => panic!("a message expected: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_tell_their_status_and_attempts_go_on() {
    let (builder, mut arrivals) = builder();
    let socket = builder.build().unwrap();
    assert_eq!(socket.state(), ConnectionState::Closed);
    let connecting = socket.connect();
    arrivals.refuse(403).await;
    assert_eq!(connecting.await, Err(ConnectError::Refused(403)));
    let connecting = socket.connect();
    drop(arrivals.stream().await);
    assert!(matches!(connecting.await, Err(ConnectError::Failed(_))));
    let _peer = arrivals.accept().await;
    socket.connect().await.unwrap();
    assert_eq!(socket.state(), ConnectionState::Open);
}

#[tokio::test(start_paused = true)]
async fn disconnecting_sends_what_is_waiting_and_ends() {
    let (socket, mut peer, mut arrivals) = connected().await;
    socket.connect().await.unwrap();
    let room = socket.channel("room", ());
    room.join();
    let disconnected = socket.disconnect_with(Some(4001), "bye");
    assert_eq!(peer.receive().await[3], "phx_join");
    match peer.frame().await {
        Some(Message::Close(Some(frame))) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "bye"));
        }
        other => panic!("a close expected: {other:?}"),
    }
    while peer.frame().await.is_some() {}
    disconnected.await;
    assert_eq!(socket.state(), ConnectionState::Closed);
    assert_eq!(room.state(), ChannelState::Errored);

    let connecting = socket.connect();
    let mut peer = arrivals.accept().await;
    connecting.await.unwrap();
    peer.join("room").await;
}

#[tokio::test(start_paused = true)]
async fn a_lagging_server_gets_everything_that_was_not_refused() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    let joining = room.join();
    peer.join("room").await;
    joining.await.unwrap();
    let filler = "x".repeat(1000);
    let mut accepted = Vec::new();
    for n in 0..5000 {
        let pushed =
            room.push_within("n", json!({ "n": n, "filler": filler }).into(), Duration::from_secs(5));
        match pushed.now_or_never() {
            None => accepted.push(n),
            Some(ended) => assert!(matches!(ended, Err(PushError::Full))),
        }
    }
    assert!(accepted.len() < 5000, "there is a limit");
    for n in accepted {
        assert_eq!(peer.receive().await[4]["n"], n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_is_replaced() {
    let (socket, mut peer, mut arrivals) = connected().await;
    assert_eq!(peer.receive().await[3], "heartbeat");
    // Nothing is answered, not even the close.
    let mut next = arrivals.accept().await;
    drop(peer);
    let room = socket.channel("room", ());
    room.join();
    next.join("room").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let (builder, mut arrivals) = builder();
    let socket = builder.build().unwrap();
    let before = tokio::time::Instant::now();
    let connecting = socket.connect();
    // Accepted and kept, but the upgrade is never answered.
    let _silent = arrivals.stream().await;
    assert!(matches!(connecting.await, Err(ConnectError::Failed(closed)) if closed.failed));
    assert_eq!(before.elapsed().as_secs(), 20);
    let room = socket.channel("room", ());
    room.join();
    arrivals.accept().await.join("room").await;
}

#[tokio::test(start_paused = true)]
async fn tokens_are_asked_at_every_connect() {
    let (builder, mut arrivals) = builder();
    let tokens = Arc::new(Mutex::new(vec!["second", "first"]));
    let builder = builder
        .params(json!({ "user": 1 }))
        .auth_token_function(move || tokens.lock().unwrap().pop().map(Into::into));
    let _socket = builder.connect().unwrap();
    for token in ["Zmlyc3Q", "c2Vjb25k"] {
        let peer = arrivals.accept().await;
        assert_eq!(peer.request.uri().query(), Some("user=1&vsn=2.0.0"));
        let expected = format!("phoenix, base64url.bearer.phx.{token}");
        assert_eq!(peer.request.headers()["sec-websocket-protocol"], expected);
        peer.close(1001).await;
    }
}

#[tokio::test(start_paused = true)]
async fn version_one_works() {
    let (builder, mut arrivals) = builder();
    let socket = builder.serializer(V1).connect().unwrap();
    let mut peer = arrivals.accept().await;
    assert_eq!(peer.request.uri().query(), Some("vsn=1.0.0"));
    let room = socket.channel("room", ());
    let joining = room.join();
    let join = peer.receive().await;
    assert_eq!(join["event"], "phx_join");
    let payload = json!({ "status": "ok", "response": {} });
    peer.send(&json!({ "topic": "room", "event": "phx_reply", "ref": join["ref"], "payload": payload }))
        .await;
    joining.await.unwrap();
    assert!(matches!(room.push_binary("b", vec![1]).await, Err(PushError::Encode(_))));
}

#[tokio::test(start_paused = true)]
async fn a_join_ends_in_time_even_if_no_connection_is_ever_made() {
    let (connector, arrivals) = wires();
    drop(arrivals);
    let socket = Socket::builder("ws://example.com/socket").connector(connector).connect().unwrap();
    let room = socket.channel("room", ());
    let before = tokio::time::Instant::now();
    assert_eq!(room.join_within(Duration::from_secs(3)).await, Err(JoinError::Timeout));
    assert_eq!(before.elapsed().as_secs(), 3);
}

/// An application's own format: the arrays of V2 behind a letter.
#[derive(Debug)]
struct Lettered;

impl ClientSerializer for Lettered {
    fn vsn(&self) -> &'static str {
        "9.0.0"
    }

    fn encode(&self, message: &phoenix_client::Message) -> Result<Outgoing, EncodeError> {
        match ClientSerializer::encode(&V2, message)? {
            Outgoing::Text(text) => Ok(Outgoing::Text(format!("x{text}").into())),
            Outgoing::Binary(_) => Err(EncodeError::Custom("text only")),
        }
    }

    fn decode(&self, incoming: Incoming) -> Result<Received, DecodeError> {
        match incoming {
            Incoming::Text(text) if text.starts_with('x') => {
                ClientSerializer::decode(&V2, Incoming::Text(text[1..].into()))
            }
            _ => Err(DecodeError::Custom("no letter")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_brings_its_own_format() {
    let (builder, mut arrivals) = builder();
    let socket = builder.serializer(Lettered).connect().unwrap();
    let mut peer = arrivals.accept().await;
    assert_eq!(peer.request.uri().query(), Some("vsn=9.0.0"));
    let mut events = socket.events();
    let room = socket.channel("room", ());
    let joining = room.join();
    let join = peer.frame().await.unwrap();
    assert_eq!(join, Message::text(r#"x["1","1","room","phx_join",{}]"#));
    peer.send_frame(Message::text("[]")).await;
    let reply = r#"x["1","1","room","phx_reply",{"status":"ok","response":{}}]"#;
    peer.send_frame(Message::text(reply)).await;
    joining.await.unwrap();
    let refused = ConnectionEvent::Undecodable(DecodeError::Custom("no letter"));
    while events.next().await.expect("told about it") != refused {}
    assert_eq!(socket.counters().undecodable, 1);
}

#[tokio::test]
async fn addresses_are_checked() {
    for address in ["http://example.com", "example.com", "ws://", ""] {
        assert!(Socket::builder(address).build().is_err(), "{address}");
    }
}
