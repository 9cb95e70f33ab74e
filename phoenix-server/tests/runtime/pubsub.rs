//! Subscriptions of channels and of the rest of the program to the same topics (FEATURES B36, E1–E8, K7–K14).

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use phoenix_server::{Broadcast, Endpoint, Payload, Subscription, SubscriptionError};
use serde_json::json;

use crate::support::{broadcast, endpoint, memory, probe, pushed, reply_to};

/// What has arrived at a subscription by now.
fn arrived(subscription: &mut Subscription) -> Vec<Result<String, SubscriptionError>> {
    let mut arrived = Vec::new();
    while let Some(item) = subscription.recv().now_or_never() {
        arrived.push(item.map(|broadcast: Arc<Broadcast>| broadcast.event.to_string()));
    }
    arrived
}

fn send(endpoint: &Endpoint, event: &str) {
    endpoint.broadcast("room:a", event, Payload::EMPTY).unwrap();
}

#[tokio::test(start_paused = true)]
async fn clients_and_the_program_hear_the_same_topics() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    let mut subscription = endpoint.pubsub().subscribe("room:a");

    client.push("2", "room:a", "broadcast", &json!({"n": 1}));
    client.push("3", "room:a", "broadcast_from", &json!({"n": 2}));
    client.expect([broadcast("room:a", "shout", json!({"n": 1}))]).await;
    client.expect_silence().await;
    for n in 1..=2 {
        let heard = subscription.recv().await.unwrap();
        assert_eq!((&*heard.topic, &*heard.event), ("room:a", "shout"));
        assert_eq!(heard.payload, json!({"n": n}).into());
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_broadcasts_may_leave_itself_out() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    let [mut one, mut two] = [endpoint.subscribe("room:a"), endpoint.subscribe("room:a")];

    endpoint.broadcast_from(&one, "room:a", "from one", Payload::EMPTY).unwrap();
    endpoint.local_broadcast_from(&two, "room:a", "from two", Payload::EMPTY).unwrap();
    endpoint.local_broadcast("room:a", "from nobody", Payload::EMPTY).unwrap();

    assert_eq!(arrived(&mut one), [Ok("from two".to_owned()), Ok("from nobody".to_owned())]);
    assert_eq!(arrived(&mut two), [Ok("from one".to_owned()), Ok("from nobody".to_owned())]);
    client
        .expect(["from one", "from two", "from nobody"].map(|event| broadcast("room:a", event, json!({}))))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_broadcasts_from_itself_misses_it_on_all_its_subscriptions() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    client.push("2", "room:a", "subscribe", &json!({"topic": "room:a"}));

    client.push("3", "room:a", "broadcast_from", &json!({}));
    client.expect_silence().await;

    // A duplicate of its own topic: once to the client, once to the channel.
    send(&endpoint, "twice");
    client.expect([broadcast("room:a", "twice", json!({}))]).await;
    client.expect([pushed("room:a", "info", json!({"text": "room:a twice"}))]).await;
}

#[tokio::test(start_paused = true)]
async fn duplicates_deliver_as_often_as_they_are() {
    let endpoint = endpoint();
    let mut subscriptions = [(); 3].map(|()| endpoint.pubsub().subscribe("room:a"));
    assert_eq!(endpoint.pubsub().local_subscribers("room:a"), 3);

    send(&endpoint, "one");

    for subscription in &mut subscriptions {
        assert_eq!(arrived(subscription), [Ok("one".to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscription_is_one_no_more() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut kept = endpoint.pubsub().subscribe("room:a");
    let dropped = endpoint.pubsub().subscribe("room:a");
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    client.push("2", "room:a", "subscribe", &json!({"topic": "news"}));
    client.push("3", "room:a", "echo", &json!({}));
    client.expect([reply_to("3", "room:a", "ok", json!({}))]).await;
    let subscribers = |topic| endpoint.pubsub().local_subscribers(topic);
    assert_eq!((subscribers("room:a"), subscribers("news")), (3, 1));

    drop(dropped);
    assert_eq!(subscribers("room:a"), 2);
    client.push("4", "room:a", "stop", &json!({}));
    client.recv().await;
    client.recv().await;
    assert_eq!((subscribers("room:a"), subscribers("news")), (1, 0));
    send(&endpoint, "one");
    assert_eq!(arrived(&mut kept), [Ok("one".to_owned())]);
    drop(kept);
    assert_eq!(subscribers("room:a"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_lags_is_told_how_much_it_missed() {
    let endpoint = endpoint();
    let mut subscription = endpoint.pubsub().subscribe_with_capacity("room:a", 2);
    for event in ["one", "two", "three", "four", "five"] {
        send(&endpoint, event);
    }

    assert_eq!(
        arrived(&mut subscription),
        [Ok("one".to_owned()), Ok("two".to_owned()), Err(SubscriptionError::Lagged(3))]
    );
    send(&endpoint, "six");
    assert_eq!(arrived(&mut subscription), [Ok("six".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream_that_wakes_its_reader() {
    let endpoint = endpoint();
    let mut subscription = endpoint.pubsub().subscribe("room:a");
    let reader = tokio::spawn(async move { subscription.next().await.unwrap().unwrap().event.to_string() });
    tokio::task::yield_now().await;

    send(&endpoint, "wake up");

    assert_eq!(reader.await.unwrap(), "wake up");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_that_one_client_could_not_get_reaches_nobody() {
    let (endpoint, probe) = (endpoint(), probe());
    let topic = format!("room:{}", "x".repeat(255));
    let mut client = memory(&endpoint, &probe, "").await;
    client.join(&topic, &json!({})).await;
    let mut subscription = endpoint.pubsub().subscribe(&*topic);

    // A topic that is too long for a binary header.
    let error = endpoint.broadcast(&*topic, "binary", bytes::Bytes::from_static(b"x")).unwrap_err();

    assert!(error.to_string().contains("topic"), "{error}");
    assert_eq!(arrived(&mut subscription), []);
    client.expect_silence().await;
    endpoint.broadcast(&*topic, "json", json!({})).unwrap();
    client.expect([broadcast(&topic, "json", json!({}))]).await;
}
