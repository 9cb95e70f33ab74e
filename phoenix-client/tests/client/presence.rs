//! The presences of a channel.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use phoenix_client::{
    Channel, Events, KeyPresence, Presence, PresenceChange, PresenceEvent, PresenceSyncConfig, Presences,
    Socket,
};
use serde_json::{Value, json};

use super::server::{Arrivals, Peer, wires};

/// A socket with one channel that is about to join, and its presence.
async fn attached(config: PresenceSyncConfig) -> (Channel, Presence, Peer, Arrivals) {
    let (connector, mut arrivals) = wires();
    let socket = Socket::builder("ws://example.com/socket").connector(connector).connect().unwrap();
    let room = socket.channel("room", ());
    let presence = room.presence_with(config);
    room.join();
    let peer = arrivals.accept().await;
    (room, presence, peer, arrivals)
}

fn entry(references: &[&str]) -> Value {
    json!({ "metas": references.iter().map(|reference| json!({ "phx_ref": reference })).collect::<Vec<_>>() })
}

fn keys(presence: &Presence) -> Vec<String> {
    presence.list_by(|key, _| key.to_owned())
}

async fn state(peer: &mut Peer, join: &Value, state: Value) {
    peer.send(&json!([join[0], null, "room", "presence_state", state])).await;
}

async fn diff(peer: &mut Peer, joins: Value, leaves: Value) {
    let payload = json!({ "joins": joins, "leaves": leaves });
    peer.send(&json!([null, null, "room", "presence_diff", payload])).await;
}

/// The changes up to the next sync, as `+key` and `-key`.
async fn until_sync(changes: &mut Events<PresenceChange>) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match changes.next().await.expect("the channel is not over") {
            PresenceChange::Event(PresenceEvent::Join { key, .. }) => told.push(format!("+{key}")),
            PresenceChange::Event(PresenceEvent::Leave { key, .. }) => told.push(format!("-{key}")),
            PresenceChange::Event(PresenceEvent::Sync) => return told,
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn states_and_diffs_make_a_list() {
    let (_room, presence, mut peer, _arrivals) = attached(PresenceSyncConfig::default()).await;
    let mut changes = presence.changes();
    let join = peer.join("room").await;
    state(&mut peer, &join, json!({ "bob": entry(&["1"]) })).await;
    diff(&mut peer, json!({ "ann": entry(&["2"]) }), json!({})).await;
    assert_eq!(until_sync(&mut changes).await, ["+bob"]);
    assert_eq!(until_sync(&mut changes).await, ["+ann"]);
    assert_eq!(keys(&presence), ["bob", "ann"], "in the order they came");

    // An update: the key never empties.
    diff(&mut peer, json!({ "ann": entry(&["3"]) }), json!({ "ann": entry(&["2"]), "bob": entry(&["1"]) }))
        .await;
    assert_eq!(until_sync(&mut changes).await, ["+ann", "-ann", "-bob"]);
    assert_eq!(keys(&presence), ["ann"]);
    assert_eq!(presence.get("ann").unwrap().metas[0].phx_ref().as_deref(), Some("3"));
    assert_eq!(presence.get("bob"), None);
}

#[tokio::test(start_paused = true)]
async fn diffs_wait_for_the_state_of_the_present_join() {
    let (_room, presence, mut peer, mut arrivals) = attached(PresenceSyncConfig::default()).await;
    let mut changes = presence.changes();
    assert!(presence.in_pending_sync_state());
    let join = peer.join("room").await;
    diff(&mut peer, json!({}), json!({ "bob": entry(&["1"]) })).await;
    state(&mut peer, &join, json!({ "ann": entry(&["2"]), "bob": entry(&["1"]) })).await;
    assert_eq!(until_sync(&mut changes).await, ["+ann", "+bob", "-bob"]);
    assert!(!presence.in_pending_sync_state());

    peer.close(1012).await;
    let mut peer = arrivals.accept().await;
    let join = peer.join("room").await;
    diff(&mut peer, json!({ "dan": entry(&["4"]) }), json!({})).await;
    // Answered after it, so that the diff has arrived: it waits, and the old list is kept meanwhile.
    let ping = presence.channel().socket().ping();
    let heartbeat = peer.receive().await;
    peer.reply(&heartbeat, "ok", &json!({})).await;
    ping.await.unwrap();
    assert!(presence.in_pending_sync_state());
    assert_eq!(keys(&presence), ["ann"]);
    state(&mut peer, &join, json!({ "cid": entry(&["3"]) })).await;
    assert_eq!(until_sync(&mut changes).await, ["+cid", "-ann", "+dan"], "who came and went meanwhile");
    assert_eq!(keys(&presence), ["cid", "dan"]);
}

#[tokio::test(start_paused = true)]
async fn callbacks_tell_before_and_after() {
    let (_room, presence, mut peer, _arrivals) = attached(PresenceSyncConfig::default()).await;
    let mut changes = presence.changes();
    let told = Arc::new(Mutex::new(Vec::new()));
    let metas = |presence: &KeyPresence| presence.metas.len();
    let note = Arc::clone(&told);
    let joins = presence.on_join(move |key, current, joined| {
        note.lock().unwrap().push(format!("{key} {:?} +{}", current.map(metas), metas(joined)));
    });
    presence.on_join(|_, _, _| panic!("a panic that is caught"));
    let note = Arc::clone(&told);
    presence.on_leave(move |key, current, left| {
        note.lock().unwrap().push(format!("{key} {} -{}", metas(current), metas(left)));
    });
    let (note, view) = (Arc::clone(&told), presence.clone());
    presence.on_sync(move || note.lock().unwrap().push(format!("sync {}", view.list().len())));

    let join = peer.join("room").await;
    state(&mut peer, &join, json!({ "ann": entry(&["1"]) })).await;
    diff(&mut peer, json!({ "ann": entry(&["2"]) }), json!({})).await;
    diff(&mut peer, json!({}), json!({ "ann": entry(&["1", "2"]) })).await;
    for _ in 0..3 {
        until_sync(&mut changes).await;
    }
    let expected = ["ann None +1", "sync 1", "ann Some(1) +1", "sync 1", "ann 0 -2", "sync 0"];
    assert_eq!(*told.lock().unwrap(), expected);

    presence.off(joins);
    diff(&mut peer, json!({ "bob": entry(&["3"]) }), json!({})).await;
    until_sync(&mut changes).await;
    assert_eq!(told.lock().unwrap().last().unwrap(), "sync 1", "the first callback is gone");
}

#[tokio::test(start_paused = true)]
async fn the_names_of_the_events_can_be_changed() {
    let mut config = PresenceSyncConfig::default();
    config.state_event = "who".into();
    config.diff_event = "moves".into();
    let (_room, presence, mut peer, _arrivals) = attached(config).await;
    let mut changes = presence.changes();
    let join = peer.join("room").await;
    state(&mut peer, &join, json!({ "ignored": entry(&["0"]) })).await;
    peer.send(&json!([join[0], null, "room", "who", { "ann": entry(&["1"]) }])).await;
    assert_eq!(until_sync(&mut changes).await, ["+ann"]);
    let payload = json!({ "joins": { "bob": entry(&["2"]) }, "leaves": {} });
    peer.send(&json!([null, null, "room", "moves", payload])).await;
    assert_eq!(until_sync(&mut changes).await, ["+bob"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_told_and_counted() {
    let (_room, presence, mut peer, _arrivals) = attached(PresenceSyncConfig::default()).await;
    let mut changes = presence.changes();
    let join = peer.join("room").await;
    state(&mut peer, &join, json!([1])).await;
    assert_eq!(changes.next().await, Some(PresenceChange::Malformed));
    assert_eq!((presence.malformed(), presence.list()), (1, Presences::default()));
    state(&mut peer, &join, json!({ "ann": entry(&["1"]) })).await;
    assert_eq!(until_sync(&mut changes).await, ["+ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_presence_keeps_its_channel_and_ends_with_it() {
    let (room, presence, mut peer, _arrivals) = attached(PresenceSyncConfig::default()).await;
    let join = peer.join("room").await;
    // Not even a callback that holds the presence keeps it beyond its channel.
    let own = presence.clone();
    presence.on_sync(move || drop(own.list()));
    let mut changes = presence.changes();
    drop(room);
    state(&mut peer, &join, json!({ "ann": entry(&["1"]) })).await;
    assert_eq!(until_sync(&mut changes).await, ["+ann"], "the presence is a handle of the channel");
    peer.send(&json!([join[0], join[0], "room", "phx_close", {}])).await;
    assert_eq!(changes.next().await, None);
    assert_eq!(presence.changes().next().await, None);
    assert_eq!(keys(&presence), ["ann"], "the last list stays");
    drop((changes, presence));
    assert_eq!(peer.frame().await, Some(tokio_tungstenite::tungstenite::Message::Close(None)));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_leaves() {
    let (room, presence, mut peer, _arrivals) = attached(PresenceSyncConfig::default()).await;
    peer.join("room").await;
    drop(room);
    drop(presence);
    assert_eq!(peer.receive().await[3], "phx_leave");
}
