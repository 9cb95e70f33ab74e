//! Three processes of the chat, each in another framework, over Redis and over NATS: what clients see when all is well, and
//! when nodes and brokers are not.

mod long_poll;
mod node;
mod people;

use futures_util::FutureExt;
use long_poll::Session;
use node::Node;
use people::{Person, meet};
use phoenix_client::ConnectionEvent;
use phoenix_pubsub_testing::{Broker, Kind};
use serde_json::json;

struct Cluster {
    broker: Broker,
    nodes: [Node; 3],
    people: [Person; 3],
}

impl Cluster {
    /// Three nodes with one person on each, who hear each other.
    async fn start(kind: Kind) -> Option<Self> {
        let broker = Broker::start(kind, "")?;
        let nodes = [("a", "warp"), ("b", "axum"), ("c", "actix")];
        let nodes = nodes.map(|(name, adapter)| Node::start(&broker, name, adapter));
        let mut people = [
            Person::enter(&nodes[0], "ann").await,
            Person::enter(&nodes[1], "bob").await,
            Person::enter(&nodes[2], "cid").await,
        ];
        meet(people.each_mut()).await;
        for person in &mut people {
            person.see(&["ann", "bob", "cid"]).await;
        }
        Some(Self { broker, nodes, people })
    }
}

macro_rules! on_both_brokers {
    ($($test:ident),*) => {
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(cluster) = super::Cluster::start(super::Kind::Redis).await {
                    super::$test(cluster).await;
                }
            })*
        }

        mod nats {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(cluster) = super::Cluster::start(super::Kind::Nats).await {
                    super::$test(cluster).await;
                }
            })*
        }
    };
}

on_both_brokers!(
    disconnecting_a_user_reaches_all_nodes,
    a_killed_node_harms_nobody_elsewhere,
    a_paused_node_is_missed_and_comes_back,
    a_restarted_broker_disconnects_nobody,
    every_node_serves_every_long_poll_session
);

async fn disconnecting_a_user_reaches_all_nodes(cluster: Cluster) {
    let Cluster { broker: _broker, nodes, people: [mut ann, mut bob, mut cid] } = cluster;
    let mut also_ann = Person::enter(&nodes[2], "ann").await;
    meet([&mut ann, &mut bob, &mut cid, &mut also_ann]).await;
    ann.sign_out().await;
    for person in [&mut ann, &mut also_ann] {
        assert!(matches!(person.connection().await, ConnectionEvent::Closed { reconnecting: true, .. }));
        assert!(matches!(person.connection().await, ConnectionEvent::Opened(_)));
    }
    meet([&mut ann, &mut bob, &mut cid, &mut also_ann]).await;
    for person in [&mut bob, &mut cid] {
        assert_eq!(person.connection().now_or_never(), None);
    }
}

async fn a_killed_node_harms_nobody_elsewhere(cluster: Cluster) {
    let Cluster { broker, nodes: [_a, _b, c], people: [mut ann, mut bob, mut cid] } = cluster;
    let port = c.port();
    c.kill();
    assert!(matches!(cid.connection().await, ConnectionEvent::Closed { .. }));
    meet([&mut ann, &mut bob]).await;
    for person in [&mut ann, &mut bob] {
        person.see(&["ann", "bob"]).await;
    }

    // A new start, with which the client finds its own way back.
    let _c = Node::start_on(&broker, "c", "actix", port);
    meet([&mut ann, &mut bob, &mut cid]).await;
    for person in [&mut ann, &mut bob, &mut cid] {
        person.see(&["ann", "bob", "cid"]).await;
    }
    for person in [&mut ann, &mut bob] {
        assert_eq!(person.connection().now_or_never(), None);
        assert_eq!(person.left(), ["cid"]);
    }
}

async fn a_paused_node_is_missed_and_comes_back(cluster: Cluster) {
    let Cluster { broker: _broker, nodes: [_a, b, _c], people: [mut ann, mut bob, mut cid] } = cluster;
    b.process().pause();
    meet([&mut ann, &mut cid]).await;
    for person in [&mut ann, &mut cid] {
        person.see(&["ann", "cid"]).await;
    }
    b.process().resume();
    meet([&mut ann, &mut bob, &mut cid]).await;
    for person in [&mut ann, &mut bob, &mut cid] {
        person.see(&["ann", "bob", "cid"]).await;
        assert_eq!(person.connection().now_or_never(), None);
    }
    for person in [&mut ann, &mut cid] {
        assert_eq!(person.left(), ["bob"]);
    }
}

async fn a_restarted_broker_disconnects_nobody(cluster: Cluster) {
    let Cluster { mut broker, nodes: _nodes, people: [mut ann, mut bob, mut cid] } = cluster;
    broker.kill();
    for person in [&ann, &bob, &cid] {
        // At first it may not have been noticed yet.
        while person.say("does anybody hear me?").await {}
    }
    // Without a word of the others for so long, each node takes them for dead.
    for (person, nick) in [(&mut ann, "ann"), (&mut bob, "bob"), (&mut cid, "cid")] {
        person.see(&[nick]).await;
    }
    broker.restart();
    meet([&mut ann, &mut bob, &mut cid]).await;
    for person in [&mut ann, &mut bob, &mut cid] {
        person.see(&["ann", "bob", "cid"]).await;
        assert_eq!(person.connection().now_or_never(), None);
    }
}

async fn every_node_serves_every_long_poll_session(cluster: Cluster) {
    let Cluster { broker: _broker, nodes: [a, b, c], people: [_ann, mut bob, _cid] } = cluster;
    let dan = Session::open(&a, "dan").await;
    dan.post(&b, &json!(["1", "1", "room:lobby", "phx_join", {"nick": "dan"}])).await;
    assert_eq!(dan.receive(&c, "phx_reply").await["status"], "ok");
    dan.post(&c, &json!(["1", "2", "room:lobby", "new_msg", {"body": "by long polling"}])).await;
    bob.hear("by long polling").await;
    assert_eq!(dan.receive(&b, "new_msg").await["body"], "by long polling");
}
