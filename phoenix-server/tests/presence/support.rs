use std::future::pending;
use std::time::Duration;

use phoenix_server::{LocalCluster, Presence, PubSub, Subscription, TopicList};
use serde_json::{Value, json};
use tokio::time::timeout;

/// A presence on one node without others, and what its clients are told of a topic.
pub(crate) fn lone(topic: &str) -> (Presence, Subscription) {
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").start(&pubsub).unwrap();
    (presence, pubsub.subscribe(topic))
}

/// A node of a cluster, with what its clients are told of the topic `room`.
pub(crate) struct Node {
    pub(crate) pubsub: PubSub,
    pub(crate) presence: Presence,
    pub(crate) diffs: Subscription,
}

impl Node {
    pub(crate) fn start(cluster: &LocalCluster, name: &str) -> Self {
        let pubsub = PubSub::builder().node(name).engine(cluster.engine());
        let presence = Presence::builder("test").start(&pubsub).unwrap();
        let diffs = pubsub.subscribe_with_capacity("room", 100_000);
        Self { pubsub, presence, diffs }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        keys(&self.presence.snapshot("room"))
    }

    /// Everything told so far: who joined, who left.
    pub(crate) async fn told(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        while let Ok(diff) = timeout(Duration::ZERO, next(&mut self.diffs)).await {
            joined.extend(names(&diff["joins"]));
            left.extend(names(&diff["leaves"]));
        }
        (joined, left)
    }
}

/// Nodes that know each other.
pub(crate) async fn nodes<const N: usize>(cluster: &LocalCluster, names: [&str; N]) -> [Node; N] {
    let nodes = names.map(|name| Node::start(cluster, name));
    let_pass(Duration::from_secs(5)).await;
    nodes
}

/// Lets virtual time pass, with everything that happens in it.
pub(crate) async fn let_pass(time: Duration) {
    let _ = timeout(time, pending::<()>()).await;
}

/// The payload of the next diff.
pub(crate) async fn next(subscription: &mut Subscription) -> Value {
    let broadcast = subscription.recv().await.unwrap();
    assert_eq!(broadcast.event, "presence_diff");
    broadcast.payload.parse().unwrap()
}

pub(crate) fn keys(list: &TopicList) -> Vec<String> {
    list.iter().map(|entry| entry.key().to_string()).collect()
}

pub(crate) fn names(presences: &Value) -> Vec<String> {
    presences.as_object().unwrap().keys().cloned().collect()
}

/// A diff in which one key joins or leaves with one meta.
#[expect(clippy::needless_pass_by_value, reason = "literals read better")]
pub(crate) fn one(key: &str, meta: Value) -> Value {
    json!({ key: { "metas": [meta] } })
}
