//! What a client and a server say to each other when nothing is wrong.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use phoenix_client::{
    ChannelEvent, ChannelState, ClientSerializer, CloseCause, ConnectionState, Events, JoinError, Payload,
    Presence, PresenceChange, PushError, Reply, Status, Transport, V1, V2,
};
use serde_json::{Value, json};

use crate::server::{World, echo, is_joined, message, until};

pub(crate) async fn both_versions(world: World) {
    say_everything(&world, V1).await;
    say_everything(&world, V2).await;
}

async fn say_everything(world: &World, serializer: impl ClientSerializer) {
    let socket = world.client().serializer(serializer).build().unwrap();
    let mut state = socket.watch_state();
    assert_eq!(socket.state(), ConnectionState::Closed);
    socket.connect().await.unwrap();
    assert_eq!(*state.borrow_and_update(), ConnectionState::Open);

    let room = socket.channel("room:1", json!({ "name": "ann" }));
    let joined: Value = room.join().await.unwrap().payload.parse().unwrap();
    assert_eq!(joined, json!({ "topic": "room:1", "params": { "name": "ann" } }));
    assert_eq!(echo(&room, &json!({ "n": [1, null, "ä"] })).await, json!({ "n": [1, null, "ä"] }));
    let failed = room.push("fail", &json!({ "why": "so" })).await;
    let expected = Reply { status: Status::ERROR, payload: json!({ "why": "so" }).into() };
    assert!(matches!(failed, Err(PushError::Refused(reply)) if reply == expected));
    let mut events = room.events();
    drop(room.push("whisper", &json!({ "text": "psst" })));
    assert_eq!(message(&mut events, "whisper").await, Payload::from(json!({ "text": "psst" })));
    socket.ping().await.unwrap();

    let refused = socket.channel("room:2", json!({ "refuse": true })).join().await;
    let expected = Reply { status: Status::ERROR, payload: json!({ "reason": "not you" }).into() };
    assert_eq!(refused, Err(JoinError::Refused(expected)));
    let unmatched = socket.channel("unknown", ()).join().await;
    let expected = Reply { status: Status::ERROR, payload: json!({ "reason": "unmatched topic" }).into() };
    assert_eq!(unmatched, Err(JoinError::Refused(expected)));

    assert_eq!(room.leave().await.unwrap().status, Status::OK);
    assert!(matches!(room.push("echo", &()).await, Err(PushError::Closed)));
    socket.disconnect().await;
    assert_eq!(*state.borrow_and_update(), ConnectionState::Closed);
}

pub(crate) async fn broadcasts(world: World) {
    let sockets = [world.client().connect().unwrap(), world.client().serializer(V1).connect().unwrap()];
    let rooms = sockets.each_ref().map(|socket| socket.channel("room:1", ()));
    let mut events = rooms.each_ref().map(phoenix_client::Channel::events);
    for room in &rooms {
        room.join().await.unwrap();
    }
    rooms[0].push("shout", &json!({ "text": "hello" })).await.unwrap();
    world.server.endpoint.broadcast("room:1", "news", json!({ "n": 1 })).unwrap();
    for events in &mut events {
        assert_eq!(message(events, "shout").await, Payload::from(json!({ "text": "hello" })));
        assert_eq!(message(events, "news").await, Payload::from(json!({ "n": 1 })));
    }
}

pub(crate) async fn binary(world: World) {
    let socket = world.client().connect().unwrap();
    let room = socket.channel("room:1", ());
    let mut events = room.events();
    room.join().await.unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    let sized = room.push_binary("size", bytes.clone()).await.unwrap();
    assert_eq!(sized.payload, json!({ "size": 256 }).into());
    if world.transport == Transport::LongPoll {
        // Towards a client that polls there is only JSON.
        return;
    }
    let payload = Payload::Binary(bytes.clone().into());
    assert_eq!(room.push_binary("echo", bytes.clone()).await.unwrap().payload, payload);
    room.push_binary("shout", bytes.clone()).await.unwrap();
    assert_eq!(message(&mut events, "shout").await, payload);
    drop(room.push_binary("whisper", bytes));
    assert_eq!(message(&mut events, "whisper").await, payload);

    let old = world.client().serializer(V1).connect().unwrap();
    let room = old.channel("room:1", ());
    room.join().await.unwrap();
    assert!(matches!(room.push_binary("echo", vec![1]).await, Err(PushError::Encode(_))));
}

pub(crate) async fn presence(world: World) {
    let [ann, bob] = ["ann", "bob"].map(|name| {
        let socket = world.client().connect().unwrap();
        socket.channel("room:1", json!({ "name": name })).presence()
    });
    let left = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&left);
    ann.on_leave(move |key, _, _| note.lock().unwrap().push(key.to_owned()));
    let (mut anns, mut bobs) = (ann.changes(), bob.changes());
    ann.channel().join().await.unwrap();
    until_present(&ann, &mut anns, &["ann"]).await;
    bob.channel().join().await.unwrap();
    until_present(&ann, &mut anns, &["ann", "bob"]).await;
    until_present(&bob, &mut bobs, &["ann", "bob"]).await;
    bob.channel().leave().await.unwrap();
    until_present(&ann, &mut anns, &["ann"]).await;
    assert_eq!(*left.lock().unwrap(), ["bob"]);
}

async fn until_present(presence: &Presence, changes: &mut Events<PresenceChange>, expected: &[&str]) {
    loop {
        let mut keys = presence.list_by(|key, _| key.to_owned());
        keys.sort();
        if keys == expected {
            return;
        }
        changes.next().await.expect("the channel is not over");
    }
}

pub(crate) async fn ends_of_channels(world: World) {
    let socket = world.client().connect().unwrap();
    let room = socket.channel("room:1", ());
    let mut events = room.events();
    room.join().await.unwrap();
    until(&mut events, is_joined).await;

    assert!(matches!(room.push("crash", &json!({})).await, Err(PushError::Channel)));
    until(&mut events, |event| matches!(event, ChannelEvent::Errored(_))).await;
    until(&mut events, is_joined).await;
    assert_eq!(echo(&room, &json!({})).await, json!({}), "it has rejoined by itself");

    assert_eq!(room.push("stop", &json!({ "n": 1 })).await.unwrap().status, Status::OK);
    let closed = ChannelEvent::Closed(CloseCause::ByServer);
    until(&mut events, |event| *event == closed).await;
    assert_eq!((events.next().await, room.state()), (None, ChannelState::Closed));
}
