//! From WebSockets to long polling.

use std::time::Duration;

use futures_util::StreamExt;
use phoenix_client::{ConnectionEvent, Fallback, Transport};
use serde_json::json;

use crate::server::{World, echo};

/// The server offers no WebSocket there: 404.
pub(crate) async fn no_websocket_is_served(world: World) {
    let fallback = Fallback::after(Duration::from_secs(120));
    let socket = world.client_at("poll_only").fallback(fallback).build().unwrap();
    let mut events = socket.events();
    let connecting = socket.connect();
    let room = socket.channel("room:1", ());
    let joining = room.join();
    connecting.await.unwrap();
    joining.await.unwrap();
    assert_eq!(echo(&room, &json!({ "n": 1 })).await, json!({ "n": 1 }));
    for expected in [
        ConnectionEvent::FellBack,
        ConnectionEvent::Opened(Transport::LongPoll),
        ConnectionEvent::FallbackConfirmed,
    ] {
        assert_eq!(events.next().await, Some(expected));
    }

    // The next run of the program remembers.
    let mut fallback = Fallback::after(Duration::from_secs(120));
    fallback.memorized = true;
    let socket = world.client_at("poll_only").fallback(fallback).build().unwrap();
    let mut events = socket.events();
    socket.connect().await.unwrap();
    assert_eq!(events.next().await, Some(ConnectionEvent::FellBack));
    assert_eq!(events.next().await, Some(ConnectionEvent::Opened(Transport::LongPoll)));
}

/// A WebSocket opens, but nothing gets through it.
pub(crate) async fn a_websocket_that_says_nothing(world: World) {
    world.proxy.swallow_next();
    let fallback = Fallback::after(Duration::from_secs(1));
    let socket = world.client().fallback(fallback).build().unwrap();
    let mut events = socket.events();
    let connecting = socket.connect();
    let room = socket.channel("room:1", ());
    room.join().await.unwrap();
    connecting.await.unwrap();
    while events.next().await != Some(ConnectionEvent::Opened(Transport::LongPoll)) {}
    assert_eq!(echo(&room, &json!({ "n": 1 })).await, json!({ "n": 1 }));
}

/// A WebSocket that has worked is kept, also when a reconnect fails (quirk Q29).
pub(crate) async fn a_healthy_websocket_is_kept(mut world: World) {
    let fallback = Fallback::after(Duration::from_secs(120));
    let socket = world.client().fallback(fallback).connect().unwrap();
    let room = socket.channel("room:1", ());
    room.join().await.unwrap();
    // Answered after the ping of the fallback.
    socket.ping().await.unwrap();
    let mut events = socket.events();
    world.shut_down().await;
    for _ in 0..2 {
        let event = events.next().await;
        assert!(matches!(event, Some(ConnectionEvent::Closed { reconnecting: true, .. })), "{event:?}");
    }
    world.start_again();
    loop {
        match events.next().await.expect("the socket is there") {
            ConnectionEvent::Opened(transport) => break assert_eq!(transport, Transport::WebSocket),
            ConnectionEvent::Closed { .. } => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}
