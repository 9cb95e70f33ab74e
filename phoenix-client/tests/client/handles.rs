//! Handles, streams and callbacks: what they see, and what dropping them does.

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt};
use phoenix_client::{Channel, ChannelEvent, CloseCause, Events, Outcome, Socket};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::websocket::{builder, connected};

#[tokio::test(start_paused = true)]
async fn dropping_handles_leaves_and_disconnects() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    let mut events = room.events();
    room.join();
    peer.join("room").await;
    drop(room);
    assert!(matches!(events.next().await, Some(ChannelEvent::Joined(_))));
    let other = socket.channel("other", ());
    drop(events);
    assert_eq!(peer.receive().await[3], "phx_leave", "the stream was the last handle");
    drop(socket);
    other.join();
    assert_eq!(peer.receive().await[3], "phx_join", "a channel keeps the socket");
    drop(other);
    assert_eq!(peer.receive().await[3], "phx_leave");
    assert_eq!(peer.frame().await, Some(Message::Close(None)));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_future_takes_nothing_back() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    let mut events = room.events();
    assert!(room.join().now_or_never().is_none());
    assert!(events.next().now_or_never().is_none());
    peer.join("room").await;
    // The wait that was given up has lost nothing.
    assert!(matches!(events.next().await, Some(ChannelEvent::Joined(_))));
    assert!(room.push("say", &json!({})).now_or_never().is_none());
    assert_eq!(peer.receive().await[3], "say");
    assert!(room.leave().now_or_never().is_none());
    assert_eq!(peer.receive().await[3], "phx_leave");
    assert!(socket.disconnect().now_or_never().is_none());
    assert_eq!(peer.frame().await, Some(Message::Close(None)));
}

#[tokio::test(start_paused = true)]
async fn callbacks_are_called_in_order_and_may_panic() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    let (sender, mut called) = tokio::sync::mpsc::unbounded_channel();
    let numbers = sender.clone();
    let first = room.on("n", move |message| {
        numbers.send(message.payload.parse::<Value>().unwrap()["n"].clone()).unwrap();
    });
    room.on("n", |_| panic!("a panic that is caught"));
    room.on_event(move |event| {
        if let ChannelEvent::Closed(cause) = event {
            assert_eq!(*cause, CloseCause::ByServer);
            sender.send(json!("closed")).unwrap();
        }
    });
    room.join();
    let join = peer.join("room").await;
    for n in 0..3 {
        peer.send(&json!([null, null, "room", "n", { "n": n }])).await;
        assert_eq!(called.recv().await, Some(json!(n)));
    }
    room.off(first);
    peer.send(&json!([null, null, "room", "n", { "n": 3 }])).await;
    peer.send(&json!([join[0], join[0], "room", "phx_close", {}])).await;
    assert_eq!(called.recv().await, Some(json!("closed")));
    assert!(room.events().next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn callbacks_come_and_go_between_two_messages() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    let joining = room.join();
    peer.join("room").await;
    joining.await.unwrap();
    let (sender, mut called) = tokio::sync::mpsc::unbounded_channel();
    let (own, once) = (room.clone(), Arc::new(Mutex::new(None)));
    let (id, told) = (Arc::clone(&once), sender.clone());
    *once.lock().unwrap() = Some(room.on("n", move |_| {
        told.send("once").unwrap();
        own.off(id.lock().unwrap().expect("set before any message"));
        let told = told.clone();
        own.on("n", move |_| told.send("later").unwrap());
    }));
    // The snapshot of the first message does not change.
    room.on("n", move |_| sender.send("always").unwrap());
    // Both arrive together.
    let message = Message::text(r#"[null,null,"room","n",{}]"#);
    peer.send_frames([message.clone(), message]).await;
    for expected in ["once", "always", "always", "later"] {
        assert_eq!(called.recv().await, Some(expected));
    }
    room.leave();
}

#[tokio::test(start_paused = true)]
async fn a_callback_may_hold_its_channel() {
    let (socket, mut peer, _arrivals) = connected().await;
    let room = socket.channel("room", ());
    let own = room.clone();
    room.on("ask", move |_| drop(own.push("answer", &json!({}))));
    let kept = room.clone();
    let removed = room.on("ask", move |_| assert_eq!(*kept.topic(), "room"));
    room.join();
    peer.join("room").await;
    peer.send(&json!([null, null, "room", "ask", {}])).await;
    assert_eq!(peer.receive().await[3], "answer");
    room.off(removed);
    room.leave();
    assert_eq!(peer.receive().await[3], "phx_leave");
    // The channel is over, its callbacks are gone with it, and so are the handles in them.
    drop((room, socket));
    assert_eq!(peer.frame().await, Some(Message::Close(None)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_lost() {
    let (builder, mut arrivals) = builder();
    let socket = builder.event_buffer(2).connect().unwrap();
    let mut peer = arrivals.accept().await;
    let room = socket.channel("room", ());
    let mut events = room.events();
    room.join();
    peer.join("room").await;
    for n in 0..3 {
        peer.send(&json!([null, null, "room", "n", { "n": n }])).await;
    }
    // Answered after them, so that they have arrived.
    let ping = socket.ping();
    let heartbeat = peer.receive().await;
    peer.reply(&heartbeat, "ok", &json!({})).await;
    ping.await.unwrap();
    assert_eq!(events.next().await, Some(ChannelEvent::Lagged(2)));
}

#[test]
fn handles_go_everywhere() {
    fn is_handle<T: Clone + Send + Sync + 'static>() {}
    fn is_sent<T: Send + 'static>() {}
    is_handle::<Socket>();
    is_handle::<Channel>();
    is_sent::<Outcome<()>>();
    is_sent::<Events<ChannelEvent>>();
}
