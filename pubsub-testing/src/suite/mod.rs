//! What PubSub promises over any engine, as tests against a real broker (protocol §16).
//!
//! [`engine_tests!`](crate::engine_tests) makes a test of each function here. Whatever is expected not to arrive is followed
//! by something that does.

#![expect(missing_docs, reason = "the name of a test says what it tests")]

mod faults;

use bytes::Bytes;
use phoenix_server::{Engine, NodeName, Payload, PubSub, Subscription};
use serde_json::json;

pub use faults::*;

use crate::{Broker, Kind};

/// An engine and how to reach around it.
pub trait EngineUnderTest {
    /// The engine.
    type Engine: Engine;

    /// What it connects to.
    const KIND: Kind;

    /// An engine that reconnects soon.
    fn engine(broker: &Broker, prefix: &str, patience: Patience) -> Self::Engine;

    /// Publishes bytes to a topic as any program could.
    fn inject(broker: &Broker, prefix: &str, topic: &str, bytes: Vec<u8>) -> impl Future<Output = ()> + Send;
}

/// How long an engine waits for a broker that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A fraction of a second.
    Short,
    /// Longer than any test.
    Long,
}

/// Makes tests of all functions of the [`suite`](crate::suite) for an engine.
#[macro_export]
macro_rules! engine_tests {
    ($engine:ty) => {
        $crate::engine_tests!($engine:
            broadcasts_reach_other_nodes_once_and_in_order,
            the_order_of_a_node_holds_across_topics,
            a_node_is_sent_only_what_somebody_on_it_wants,
            direct_broadcasts_reach_one_node,
            payloads_arrive_unchanged,
            topics_may_be_anything,
            many_topics_come_and_go,
            nodes_survive_a_restart_of_the_broker,
            a_broker_may_come_later,
            a_silent_broker_is_noticed,
            clusters_with_other_prefixes_are_separate,
            foreign_messages_are_ignored_and_counted,
            publishers_are_refused_when_the_queue_is_full,
            what_was_accepted_is_sent_before_the_end
        );
    };
    ($engine:ty: $($test:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            if let Some(broker) =
                $crate::Broker::start(<$engine as $crate::suite::EngineUnderTest>::KIND, "")
            {
                $crate::suite::$test::<$engine>(broker).await;
            }
        }
    )*};
}

async fn node<E: EngineUnderTest>(broker: &Broker, name: &str) -> PubSub {
    let pubsub = PubSub::builder().node(name).engine(E::engine(broker, "phx", Patience::Long));
    pubsub.settled().await;
    pubsub
}

async fn subscribe(pubsub: &PubSub, topic: &str) -> Subscription {
    let subscription = pubsub.subscribe_with_capacity(topic, 100_000);
    pubsub.settled().await;
    subscription
}

fn number(n: u64) -> Payload {
    json!({ "n": n }).into()
}

async fn next_number(subscription: &mut Subscription) -> u64 {
    let broadcast = subscription.recv().await.expect("there is room");
    let number: serde_json::Value = broadcast.payload.parse().expect("it is JSON");
    number["n"].as_u64().expect("it is a number")
}

async fn next_event(subscription: &mut Subscription) -> String {
    subscription.recv().await.expect("there is room").event.to_string()
}

/// The events up to `end`.
async fn events(subscription: &mut Subscription) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        match next_event(subscription).await {
            event if event == "end" => return events,
            event => events.push(event),
        }
    }
}

pub async fn broadcasts_reach_other_nodes_once_and_in_order<E: EngineUnderTest>(broker: Broker) {
    let [a, b, c] =
        [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await, node::<E>(&broker, "c").await];
    let mut at_a = subscribe(&a, "t").await;
    let mut at_b = subscribe(&b, "t").await;
    let mut at_c = subscribe(&c, "t").await;
    a.local_broadcast("t", "local", Payload::EMPTY).unwrap();
    for n in 0..1000 {
        a.broadcast_from(&at_a, "t", "others", number(n)).unwrap();
        b.broadcast("t", "all", number(n)).unwrap();
    }
    for pubsub in [&a, &b] {
        pubsub.broadcast("t", "end", Payload::EMPTY).unwrap();
    }
    assert_eq!(next_event(&mut at_a).await, "local");
    for (subscription, froms) in
        [(&mut at_a, &["all"][..]), (&mut at_b, &["others", "all"]), (&mut at_c, &["others", "all"])]
    {
        let mut next = [0; 2];
        let mut ends = 0;
        while ends < 2 {
            let broadcast = subscription.recv().await.unwrap();
            if broadcast.event == "end" {
                ends += 1;
                continue;
            }
            let from =
                froms.iter().position(|from| broadcast.event == *from).expect("nothing else is sent here");
            let value: serde_json::Value = broadcast.payload.parse().unwrap();
            assert_eq!(value["n"], next[from]);
            next[from] += 1;
        }
        assert!(next.iter().take(froms.len()).all(|count| *count == 1000), "{next:?}");
    }
    let received = [&a, &b, &c].map(|pubsub| pubsub.stats().received);
    assert_eq!(received, [1001, 1001, 2002]);
    for pubsub in [&a, &b, &c] {
        let stats = pubsub.stats();
        assert_eq!((stats.gaps, stats.malformed, stats.unsent, stats.refused), (0, 0, 0, 0));
    }
}

pub async fn the_order_of_a_node_holds_across_topics<E: EngineUnderTest>(broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await];
    let mut first = subscribe(&b, "first").await;
    let mut second = subscribe(&b, "second").await;
    for n in 0..2000 {
        a.broadcast("first", "e", number(n)).unwrap();
        a.broadcast("second", "e", number(n)).unwrap();
    }
    for n in 0..2000 {
        assert_eq!(next_number(&mut second).await, n);
        // It was delivered before, so that nothing is waited for.
        let before = tokio::select! {
            biased;
            number = next_number(&mut first) => Some(number),
            () = std::future::ready(()) => None,
        };
        assert_eq!(before, Some(n));
    }
}

pub async fn a_node_is_sent_only_what_somebody_on_it_wants<E: EngineUnderTest>(broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await];
    let mut end = subscribe(&b, "end").await;
    let first = subscribe(&b, "t").await;
    let second = subscribe(&b, "t").await;
    drop(first);
    b.settled().await;
    a.broadcast("t", "wanted", Payload::EMPTY).unwrap();
    a.broadcast("end", "1", Payload::EMPTY).unwrap();
    next_event(&mut end).await;
    assert_eq!(b.stats().received, 2);

    drop(second);
    b.settled().await;
    a.broadcast("t", "unwanted", Payload::EMPTY).unwrap();
    a.broadcast("end", "2", Payload::EMPTY).unwrap();
    next_event(&mut end).await;
    assert_eq!(b.stats().received, 3);

    let mut third = subscribe(&b, "t").await;
    a.broadcast("t", "wanted again", Payload::EMPTY).unwrap();
    assert_eq!(next_event(&mut third).await, "wanted again");
}

pub async fn direct_broadcasts_reach_one_node<E: EngineUnderTest>(broker: Broker) {
    let [a, b, c] =
        [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await, node::<E>(&broker, "c").await];
    let mut subscriptions = [subscribe(&a, "t").await, subscribe(&b, "t").await, subscribe(&c, "t").await];
    a.direct_broadcast(&"b".into(), "t", "other", Payload::EMPTY).unwrap();
    a.direct_broadcast(&"a".into(), "t", "own", Payload::EMPTY).unwrap();
    a.direct_broadcast(&NodeName::random(), "t", "nobody", Payload::EMPTY).unwrap();
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    for (subscription, expected) in subscriptions.iter_mut().zip(["own", "other", ""]) {
        assert_eq!(events(subscription).await.join(","), expected);
    }
}

pub async fn payloads_arrive_unchanged<E: EngineUnderTest>(broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await];
    let mut at_b = subscribe(&b, "t").await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let payloads = [
        Payload::EMPTY,
        json!({"text": "\u{0}\"\\é\u{1F980}\r\n", "deep": [[{}], 1.5e300, null]}).into(),
        json!({ "text": "x".repeat(700_000) }).into(),
        Payload::from(Bytes::new()),
        Payload::from(Bytes::from(every_byte)),
    ];
    for payload in &payloads {
        a.broadcast("t", "é\"\n", payload.clone()).unwrap();
    }
    for payload in payloads {
        let broadcast = at_b.recv().await.unwrap();
        assert_eq!(broadcast.event, "é\"\n");
        assert!(broadcast.payload == payload);
    }
}

pub async fn topics_may_be_anything<E: EngineUnderTest>(broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a\n.*>\u{e9}").await, node::<E>(&broker, &"b".repeat(5000)).await];
    let long = "long".repeat(2000);
    let longer = "long".repeat(2001);
    let topics = ["", " ", "a.b", "a.*", ">", "*", "%", "a\r\nPING\r\n", "\u{0}", "é🦀", &long, &longer];
    let mut subscriptions = Vec::new();
    for topic in topics {
        subscriptions.push(subscribe(&b, topic).await);
    }
    for topic in topics {
        a.broadcast(topic, "e", json!({ "topic": topic })).unwrap();
        a.direct_broadcast(b.node_name(), topic, "direct", Payload::EMPTY).unwrap();
        a.broadcast(topic, "end", Payload::EMPTY).unwrap();
    }
    for (topic, subscription) in topics.into_iter().zip(&mut subscriptions) {
        let broadcast = subscription.recv().await.unwrap();
        assert_eq!((&*broadcast.topic, &broadcast.payload), (topic, &json!({ "topic": topic }).into()));
        assert_eq!(events(subscription).await, ["direct"]);
    }
    assert_eq!((a.stats().gaps, b.stats().gaps), (0, 0));
}

pub async fn many_topics_come_and_go<E: EngineUnderTest>(broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await];
    let mut end = subscribe(&b, "end").await;
    let mut subscriptions: Vec<_> = (0..2000).map(|n| b.subscribe(format!("t{n}"))).collect();
    b.settled().await;
    for n in 0..2000 {
        a.broadcast(format!("t{n}"), "e", number(n)).unwrap();
    }
    for (n, subscription) in (0..).zip(&mut subscriptions) {
        assert_eq!(next_number(subscription).await, n);
    }
    subscriptions.truncate(1000);
    b.settled().await;
    for n in 0..2000 {
        a.broadcast(format!("t{n}"), "e", number(n)).unwrap();
    }
    a.broadcast("end", "end", Payload::EMPTY).unwrap();
    next_event(&mut end).await;
    assert_eq!(b.stats().received, 2000 + 1000 + 1);
}

pub async fn clusters_with_other_prefixes_are_separate<E: EngineUnderTest>(broker: Broker) {
    let pubsub = |name: &str, prefix: &str| {
        PubSub::builder().node(name).engine(E::engine(&broker, prefix, Patience::Long))
    };
    let clusters = [[pubsub("a", "one"), pubsub("b", "one")], [pubsub("a", "two"), pubsub("b", "two")]];
    let mut subscriptions = Vec::new();
    for pubsub in clusters.as_flattened() {
        pubsub.settled().await;
        subscriptions.push(subscribe(pubsub, "t").await);
    }
    for (name, [a, _]) in ["one", "two"].into_iter().zip(&clusters) {
        a.broadcast("t", name, Payload::EMPTY).unwrap();
        a.direct_broadcast(&"b".into(), "t", name, Payload::EMPTY).unwrap();
        a.broadcast("t", "end", Payload::EMPTY).unwrap();
    }
    for (subscription, expected) in subscriptions.iter_mut().zip(["one", "one,one", "two", "two,two"]) {
        assert_eq!(events(subscription).await.join(","), expected);
    }
}
