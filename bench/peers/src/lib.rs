//! The bench channel as one would write it by hand on the WebSockets of a web framework: each connection has a queue
//! that whoever broadcasts puts texts into. Enough of protocol V2 for the load, and no more: anybody may join, nothing
//! is refused, nothing is bounded.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Who is joined to what. `T` is the text of a message in the terms of the framework.
pub struct Hub<T> {
    topics: Mutex<HashMap<String, Subscribers<T>>>,
    clients: AtomicUsize,
}

type Subscribers<T> = HashMap<usize, UnboundedSender<T>>;

/// One connection.
pub struct Client<T> {
    id: usize,
    hub: Arc<Hub<T>>,
    queue: UnboundedSender<T>,
    joined: HashSet<String>,
}

/// A message of V2: join_ref, ref, topic, event and payload.
#[derive(Deserialize, Serialize)]
struct Message<'a, P>(
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    P,
);

#[derive(Serialize)]
struct Response<P> {
    status: &'static str,
    response: P,
}

#[derive(Serialize)]
struct Empty {}

impl<T> Default for Hub<T> {
    fn default() -> Self {
        Self { topics: Mutex::default(), clients: AtomicUsize::new(0) }
    }
}

impl<T> Hub<T> {
    fn leave(&self, topic: &str, client: usize) {
        let mut topics = self.topics();
        let Some(subscribers) = topics.get_mut(topic) else { return };
        subscribers.remove(&client);
        if subscribers.is_empty() {
            topics.remove(topic);
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, Subscribers<T>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + From<String>> Hub<T> {
    fn broadcast(&self, topic: &str, payload: &RawValue) {
        let message = Message(None, None, topic.into(), "msg".into(), payload);
        let Ok(text) = serde_json::to_string(&message).map(T::from) else { return };
        for queue in self.topics().get(topic).into_iter().flat_map(HashMap::values) {
            // One that is gone needs nothing any more.
            _ = queue.send(text.clone());
        }
    }
}

impl<T: Clone + From<String>> Client<T> {
    /// A client, and the queue of what is broadcast to it.
    pub fn new(hub: Arc<Hub<T>>) -> (Self, UnboundedReceiver<T>) {
        let (queue, receiver) = unbounded_channel();
        let id = hub.clients.fetch_add(1, Relaxed);
        (Self { id, hub, queue, joined: HashSet::new() }, receiver)
    }

    /// Handles one message; what is to be sent back is added to `replies`.
    pub fn handle(&mut self, text: &str, replies: &mut Vec<T>) {
        let Ok(message) = serde_json::from_str::<Message<'_, &RawValue>>(text) else { return };
        match &*message.3 {
            "echo" => replies.extend(reply(&message, message.4)),
            "bcast" => self.hub.broadcast(&message.2, message.4),
            "heartbeat" => replies.extend(reply(&message, Empty {})),
            "phx_join" => {
                let topic = message.2.to_string();
                self.hub.topics().entry(topic.clone()).or_default().insert(self.id, self.queue.clone());
                self.joined.insert(topic);
                replies.extend(reply(&message, Empty {}));
            }
            "phx_leave" => {
                self.joined.remove(&*message.2);
                self.hub.leave(&message.2, self.id);
                replies.extend(reply(&message, Empty {}));
                let Message(join_ref, _, topic, ..) = message;
                let close = Message(join_ref.clone(), join_ref, topic, "phx_close".into(), Empty {});
                replies.extend(serde_json::to_string(&close).ok().map(T::from));
            }
            _ => {}
        }
    }
}

fn reply<T: From<String>>(message: &Message<'_, &RawValue>, response: impl Serialize) -> Option<T> {
    let Message(join_ref, reference, topic, ..) = message;
    let response = Response { status: "ok", response };
    let reply = Message(join_ref.clone(), reference.clone(), topic.clone(), "phx_reply".into(), response);
    serde_json::to_string(&reply).ok().map(T::from)
}

impl<T> Drop for Client<T> {
    fn drop(&mut self) {
        for topic in &self.joined {
            self.hub.leave(topic, self.id);
        }
    }
}

/// The address of the command line's port, the only argument.
///
/// # Panics
/// If there is no port.
pub fn address() -> SocketAddr {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: PROGRAM PORT");
    (Ipv4Addr::LOCALHOST, port).into()
}
