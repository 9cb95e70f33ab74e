use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::join_all;
use phoenix_client::{
    Channel, ChannelEvent, ConnectionEvent, Events, Presence, PresenceChange, Socket, Status,
};
use serde_json::{Value, json};

use crate::node::Node;

/// Somebody in the lobby.
pub(crate) struct Person {
    room: Channel,
    events: Events<ChannelEvent>,
    connection: Events<ConnectionEvent>,
    presence: Presence,
    changes: Events<PresenceChange>,
    left: Arc<Mutex<Vec<String>>>,
}

impl Person {
    pub(crate) async fn enter(node: &Node, nick: &str) -> Self {
        let url = format!("ws://127.0.0.1:{}/socket", node.port());
        let socket =
            Socket::builder(url).params(json!({ "user": nick })).event_buffer(100_000).connect().unwrap();
        let room = socket.channel("room:lobby", json!({ "nick": nick }));
        let events = room.events();
        let presence = room.presence();
        let changes = presence.changes();
        let left = Arc::<Mutex<Vec<String>>>::default();
        presence.on_leave({
            let left = Arc::clone(&left);
            move |nick, _, _| left.lock().unwrap().push(nick.to_owned())
        });
        room.join().await.unwrap();
        Self { room, events, connection: socket.events(), presence, changes, left }
    }

    /// Whether it went out to all nodes.
    pub(crate) async fn say(&self, body: &str) -> bool {
        // Without a connection it is not said.
        let reply = self.room.push("new_msg", &json!({ "body": body })).await;
        reply.is_ok_and(|reply| reply.status == Status::OK)
    }

    /// Waits until a person hears something.
    pub(crate) async fn hear(&mut self, body: &str) {
        while let Some(event) = self.events.next().await {
            if let ChannelEvent::Message(message) = event
                && message.event.as_str() == "new_msg"
                && message.payload.parse::<Value>().is_ok_and(|said| said["body"] == body)
            {
                return;
            }
        }
        panic!("the room is closed");
    }

    /// Waits until these are there, as far as this person is told, and nobody else.
    pub(crate) async fn see(&mut self, nicks: &[&str]) {
        loop {
            let mut there = self.presence.list_by(|nick, _| nick.to_owned());
            there.sort();
            if there == nicks {
                return;
            }
            self.changes.next().await.expect("the room is open");
        }
    }

    /// Who left, as far as this person was told.
    pub(crate) fn left(&self) -> Vec<String> {
        self.left.lock().unwrap().clone()
    }

    /// Ends all connections of this user.
    pub(crate) async fn sign_out(&self) {
        // The connection ends before there is an answer.
        let _ = self.room.push("sign_out", &json!({})).await;
    }

    /// The next thing that happens to the connection.
    pub(crate) async fn connection(&mut self) -> ConnectionEvent {
        self.connection.next().await.expect("the socket exists")
    }
}

/// Counts what was said in [`meet`].
static WORDS: AtomicU64 = AtomicU64::new(0);

/// Waits until everybody hears everybody.
pub(crate) async fn meet<const N: usize>(mut people: [&mut Person; N]) {
    for speaker in 0..N {
        let (before, rest) = people.split_at_mut(speaker);
        let (speaker, after) = rest.split_first_mut().expect("N people");
        // Each time something else, as earlier words may still be on their way.
        let word = format!("hello {}", WORDS.fetch_add(1, Ordering::Relaxed));
        let heard = join_all(before.iter_mut().chain(after).map(|person| person.hear(&word)));
        let said = async {
            loop {
                speaker.say(&word).await;
            }
        };
        tokio::select! {
            _ = heard => {}
            () = said => {}
        }
    }
}
