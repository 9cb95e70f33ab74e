//! PubSub within one node and between several (FEATURES K, protocol §16).

use std::sync::Arc;

use bytes::Bytes;
use phoenix_proto::Broadcast;
use phoenix_server::{BroadcastError, LocalCluster, NodeName, Payload, PubSub, PublishError, Subscription};
use serde_json::json;

async fn node(cluster: &LocalCluster, name: &str) -> PubSub {
    let pubsub = PubSub::builder().node(name).engine(cluster.engine());
    pubsub.settled().await;
    pubsub
}

async fn subscribe(pubsub: &PubSub, topic: &str) -> Subscription {
    let subscription = pubsub.subscribe(topic);
    pubsub.settled().await;
    subscription
}

/// The next event, after everything that is on its way has arrived.
async fn event(subscription: &mut Subscription) -> String {
    subscription.recv().await.unwrap().event.to_string()
}

/// The events of a topic up to a last one.
async fn events_until(subscription: &mut Subscription, last: &str) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let event = event(subscription).await;
        if event == last {
            return events;
        }
        events.push(event);
    }
}

#[tokio::test]
async fn ps_03_to_06_local_subscriptions() {
    let pubsub = PubSub::local();
    let mut first = pubsub.subscribe("t");
    let mut second = pubsub.subscribe("t");
    let mut other = pubsub.subscribe("u");
    pubsub.broadcast("t", "both", Payload::EMPTY).unwrap();
    pubsub.broadcast_from(&first, "t", "second", Payload::EMPTY).unwrap();
    pubsub.local_broadcast_from(&second, "t", "first", Payload::EMPTY).unwrap();
    pubsub.broadcast("t", "end", Payload::EMPTY).unwrap();
    pubsub.broadcast("u", "end", Payload::EMPTY).unwrap();
    assert_eq!(events_until(&mut first, "end").await, ["both", "first"]);
    assert_eq!(events_until(&mut second, "end").await, ["both", "second"]);
    assert_eq!(events_until(&mut other, "end").await, Vec::<String>::new());
    drop((first, second));
    assert_eq!(pubsub.local_subscribers("t"), 0);
}

#[tokio::test]
async fn ps_07_and_08_direct_broadcasts_without_other_nodes() {
    let pubsub = PubSub::builder().node("me").local();
    let mut subscription = pubsub.subscribe("t");
    pubsub.direct_broadcast(&"nobody".into(), "t", "lost", Payload::EMPTY).unwrap();
    pubsub.direct_broadcast(pubsub.node_name(), "t", "own", Payload::EMPTY).unwrap();
    assert_eq!(event(&mut subscription).await, "own");
    assert_eq!(pubsub.node_name(), &NodeName::from("me"));
}

#[tokio::test]
async fn pd_01_and_02_broadcasts_reach_all_nodes_and_local_ones_one() {
    let cluster = LocalCluster::new();
    let [a, b, c] = [node(&cluster, "a").await, node(&cluster, "b").await, node(&cluster, "c").await];
    let mut subscriptions = [subscribe(&a, "t").await, subscribe(&b, "t").await, subscribe(&c, "t").await];
    a.local_broadcast("t", "local", Payload::EMPTY).unwrap();
    a.broadcast_from(&subscriptions[0], "t", "others", Payload::EMPTY).unwrap();
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(events_until(&mut subscriptions[0], "end").await, ["local"]);
    assert_eq!(events_until(&mut subscriptions[1], "end").await, ["others"]);
    assert_eq!(events_until(&mut subscriptions[2], "end").await, ["others"]);
    assert_eq!((a.stats().published, a.stats().received, b.stats().received), (2, 0, 2));
}

#[tokio::test]
async fn pd_03_direct_broadcasts_reach_one_node() {
    let cluster = LocalCluster::new();
    let [a, b, c] = [node(&cluster, "a").await, node(&cluster, "b").await, node(&cluster, "c").await];
    let mut subscriptions = [subscribe(&a, "t").await, subscribe(&b, "t").await, subscribe(&c, "t").await];
    a.direct_broadcast(&"b".into(), "t", "direct", Payload::EMPTY).unwrap();
    a.direct_broadcast(&"z".into(), "t", "nobody", Payload::EMPTY).unwrap();
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    for (subscription, expected) in subscriptions.iter_mut().zip([&[][..], &["direct"], &[]]) {
        assert_eq!(events_until(subscription, "end").await, expected);
    }
}

#[tokio::test]
async fn payloads_arrive_unchanged_and_in_order() {
    let cluster = LocalCluster::new();
    let [a, b] = [node(&cluster, "a").await, node(&cluster, "b").await];
    let mut subscription = subscribe(&b, "t").await;
    let sent: Vec<_> = (0..500u32)
        .map(|n| match n % 2 {
            0 => Payload::from(json!({"n": n})),
            _ => Payload::from(Bytes::from(n.to_be_bytes().to_vec())),
        })
        .map(|payload| Broadcast { topic: "t".into(), event: "e".into(), payload })
        .collect();
    for broadcast in &sent {
        a.broadcast("t", "e", broadcast.payload.clone()).unwrap();
    }
    for broadcast in sent {
        assert_eq!(subscription.recv().await.unwrap(), Arc::new(broadcast));
    }
}

#[tokio::test]
async fn a_node_is_sent_only_what_somebody_on_it_wants() {
    let cluster = LocalCluster::new();
    let [a, b] = [node(&cluster, "a").await, node(&cluster, "b").await];
    let mut end = subscribe(&b, "end").await;
    let first = subscribe(&b, "t").await;
    let second = subscribe(&b, "t").await;
    a.broadcast("t", "two", Payload::EMPTY).unwrap();
    drop(first);
    a.broadcast("end", "1", Payload::EMPTY).unwrap();
    event(&mut end).await;
    assert_eq!(b.stats().received, 2);

    a.broadcast("t", "one", Payload::EMPTY).unwrap();
    a.broadcast("end", "2", Payload::EMPTY).unwrap();
    event(&mut end).await;
    assert_eq!(b.stats().received, 4);

    drop(second);
    b.settled().await;
    a.broadcast("t", "none", Payload::EMPTY).unwrap();
    a.broadcast("end", "3", Payload::EMPTY).unwrap();
    event(&mut end).await;
    assert_eq!(b.stats().received, 5);
}

#[tokio::test]
async fn an_error_of_the_engine_keeps_a_broadcast_from_everybody() {
    let cluster = LocalCluster::new();
    let [a, b] = [node(&cluster, "a").await, node(&cluster, "b").await];
    let mut here = subscribe(&a, "t").await;
    let mut there = subscribe(&b, "t").await;

    cluster.stop();
    while a.stats().connected || b.stats().connected {
        tokio::task::yield_now().await;
    }
    let error = a.broadcast("t", "lost", Payload::EMPTY).unwrap_err();
    assert_eq!(error, BroadcastError::Publish(PublishError::Disconnected));
    a.local_broadcast("t", "local", Payload::EMPTY).unwrap();

    cluster.start();
    while !a.stats().connected || !b.stats().connected {
        tokio::task::yield_now().await;
    }
    b.settled().await;
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(events_until(&mut here, "end").await, ["local"]);
    assert_eq!(events_until(&mut there, "end").await, Vec::<String>::new());
    assert_eq!((a.stats().gaps, a.stats().refused, b.stats().gaps), (1, 1, 1));
}

#[tokio::test]
async fn splits_and_losses_are_where_they_were_put() {
    let cluster = LocalCluster::new();
    let [a, b, c] = [node(&cluster, "a").await, node(&cluster, "b").await, node(&cluster, "c").await];
    let mut at_b = subscribe(&b, "t").await;
    let mut at_c = subscribe(&c, "t").await;
    cluster.split(&["a".into()], &["c".into()]);
    a.broadcast("t", "split", Payload::EMPTY).unwrap();
    assert_eq!(event(&mut at_b).await, "split");
    b.broadcast("t", "from b", Payload::EMPTY).unwrap();
    assert_eq!(event(&mut at_c).await, "from b");
    assert_eq!(event(&mut at_b).await, "from b");

    cluster.heal();
    let mut first = true;
    cluster
        .lose_when(move |from, to| from.as_str() == "a" && to.as_str() == "b" && std::mem::take(&mut first));
    a.broadcast("t", "lossy", Payload::EMPTY).unwrap();
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(events_until(&mut at_c, "end").await, ["lossy"]);
    assert_eq!(events_until(&mut at_b, "end").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_full_queue_refuses_and_delivers_nothing() {
    let cluster = LocalCluster::new();
    let a = PubSub::builder().node("a").queue_limits(2, 1 << 20).engine(cluster.engine());
    let mut here = subscribe(&a, "t").await;
    // The engine's task does not run before this one waits.
    a.broadcast("t", "1", Payload::EMPTY).unwrap();
    a.broadcast("t", "2", Payload::EMPTY).unwrap();
    let error = a.broadcast("t", "3", Payload::EMPTY).unwrap_err();
    assert_eq!(error, BroadcastError::Publish(PublishError::QueueFull));
    a.local_broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(events_until(&mut here, "end").await, ["1", "2"]);
}

#[tokio::test]
async fn events_of_the_protocol_and_of_the_library_are_refused() {
    let pubsub = PubSub::local();
    for event in ["phx_close", "phx_internal"] {
        let error = pubsub.broadcast("t", event, Payload::EMPTY).unwrap_err();
        assert_eq!(error, BroadcastError::ReservedEvent(event.to_owned()));
    }
    assert!(matches!(pubsub.broadcast("t", "e", json!([])), Err(BroadcastError::Encode(_))));
}

#[tokio::test]
async fn a_dropped_pubsub_leaves_the_cluster() {
    let cluster = LocalCluster::new();
    let a = node(&cluster, "a").await;
    assert!(format!("{cluster:?}").contains('a'));
    drop(a);
    while format!("{cluster:?}").contains("\"a\"") {
        tokio::task::yield_now().await;
    }
}
