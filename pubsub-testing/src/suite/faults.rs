//! What holds when a broker, a node or a message is not as it should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use phoenix_server::{BroadcastError, Engine, Payload, PubSub, PublishError};
use serde_json::json;

use super::{EngineUnderTest, Patience, events, next_event, next_number, node, number, subscribe};
use crate::Broker;

pub async fn nodes_survive_a_restart_of_the_broker<E: EngineUnderTest>(mut broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await];
    let mut at_b = subscribe(&b, "t").await;
    let quiet = subscribe(&b, "dropped meanwhile").await;
    let ended = Arc::new(AtomicBool::new(false));
    let traffic = tokio::spawn({
        let (a, ended) = (a.clone(), Arc::clone(&ended));
        async move {
            let (mut accepted, mut refused) = (Vec::new(), 0);
            for n in 0.. {
                match a.broadcast("t", "e", number(n)) {
                    Ok(()) => accepted.push(n),
                    Err(BroadcastError::Publish(PublishError::Disconnected | PublishError::QueueFull)) => {
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                tokio::task::yield_now().await;
            }
            (accepted, refused)
        }
    });
    next_number(&mut at_b).await;
    broker.kill();
    while a.stats().gaps == 0 || b.stats().gaps == 0 || a.stats().refused == 0 {
        tokio::task::yield_now().await;
    }
    drop(quiet);
    let new = b.subscribe("new meanwhile");
    broker.restart();
    a.settled().await;
    b.settled().await;
    ended.store(true, Ordering::Relaxed);
    let (accepted, refused) = traffic.await.unwrap();
    a.broadcast("t", "end", Payload::EMPTY).unwrap();

    // Nothing twice, nothing out of order, nothing that was refused.
    let mut last = None;
    loop {
        let broadcast = match at_b.recv().await {
            Ok(broadcast) if broadcast.event == "end" => break,
            Ok(broadcast) => broadcast,
            Err(_) => continue,
        };
        let n = broadcast.payload.parse::<serde_json::Value>().unwrap()["n"].as_u64().unwrap();
        assert!(last < Some(n) && accepted.binary_search(&n).is_ok(), "{n} after {last:?}");
        last = Some(n);
    }
    let (a_stats, b_stats) = (a.stats(), b.stats());
    assert_eq!((a_stats.gaps, b_stats.gaps), (1, 1));
    assert!(a_stats.connected && b_stats.connected);
    assert_eq!((a_stats.published, a_stats.refused), (accepted.len() as u64 + 1, refused));

    // Subscriptions are those of now.
    let mut new = new;
    a.broadcast("dropped meanwhile", "e", Payload::EMPTY).unwrap();
    a.broadcast("new meanwhile", "e", Payload::EMPTY).unwrap();
    next_event(&mut new).await;
    assert_eq!(b.stats().received, b_stats.received + 1);
}

pub async fn a_broker_may_come_later<E: EngineUnderTest>(mut broker: Broker) {
    broker.kill();
    let pubsub = |name: &str| PubSub::builder().node(name).engine(E::engine(&broker, "phx", Patience::Long));
    let [a, b] = [pubsub("a"), pubsub("b")];
    let mut at_a = a.subscribe("t");
    let mut at_b = b.subscribe("t");
    let refused = a.broadcast("t", "nobody", Payload::EMPTY).unwrap_err();
    assert_eq!(refused, BroadcastError::Publish(PublishError::Disconnected));
    broker.restart();
    a.settled().await;
    b.settled().await;
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(events(&mut at_a).await, Vec::<String>::new());
    assert_eq!(events(&mut at_b).await, Vec::<String>::new());
    // Nothing was missed that was there before.
    assert_eq!((a.stats().gaps, b.stats().gaps), (0, 0));
}

pub async fn a_silent_broker_is_noticed<E: EngineUnderTest>(broker: Broker) {
    let a = PubSub::builder().node("a").engine(E::engine(&broker, "phx", Patience::Short));
    a.settled().await;
    broker.process().pause();
    while a.stats().gaps == 0 {
        tokio::task::yield_now().await;
    }
    broker.process().resume();
    let b = node::<E>(&broker, "b").await;
    let mut at_a = subscribe(&a, "t").await;
    // An impatient node may lose its connection on a busy machine once more.
    loop {
        b.broadcast("t", "e", Payload::EMPTY).unwrap();
        tokio::select! {
            event = next_event(&mut at_a) => break assert_eq!(event, "e"),
            () = a.settled() => tokio::task::yield_now().await,
        }
    }
}

pub async fn publishers_are_refused_when_the_queue_is_full<E: EngineUnderTest>(broker: Broker) {
    let engine = E::engine(&broker, "phx", Patience::Long);
    let a = PubSub::builder().node("a").queue_limits(100, 1 << 20).engine(engine);
    let b = node::<E>(&broker, "b").await;
    let mut at_a = subscribe(&a, "t").await;
    let mut at_b = subscribe(&b, "t").await;
    broker.process().pause();
    let filler = "x".repeat(10_000);
    let mut accepted = 0;
    loop {
        match a.broadcast("t", "e", json!({ "n": accepted, "filler": filler })) {
            Ok(()) => accepted += 1,
            Err(BroadcastError::Publish(PublishError::QueueFull)) if a.stats().refused > 100 => break,
            Err(BroadcastError::Publish(PublishError::QueueFull)) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    broker.process().resume();
    // Nobody saw what was refused, and everybody what was not.
    for subscription in [&mut at_a, &mut at_b] {
        for n in 0..accepted {
            assert_eq!(next_number(subscription).await, n);
        }
    }
    while let Err(error) = a.broadcast("t", "end", Payload::EMPTY) {
        assert_eq!(error, BroadcastError::Publish(PublishError::QueueFull));
        tokio::task::yield_now().await;
    }
    assert_eq!(events(&mut at_a).await, Vec::<String>::new());
    assert_eq!(events(&mut at_b).await, Vec::<String>::new());
    let stats = a.stats();
    assert_eq!((stats.published, stats.unsent, stats.gaps), (accepted + 1, 0, 0));
}

pub async fn what_was_accepted_is_sent_before_the_end<E: EngineUnderTest>(broker: Broker) {
    let [a, b] = [node::<E>(&broker, "a").await, node::<E>(&broker, "b").await];
    let mut at_b = subscribe(&b, "t").await;
    for n in 0..500 {
        a.broadcast("t", "e", number(n)).unwrap();
    }
    drop(a);
    for n in 0..500 {
        assert_eq!(next_number(&mut at_b).await, n);
    }
}

pub async fn foreign_messages_are_ignored_and_counted<E: EngineUnderTest>(broker: Broker) {
    let a = node::<E>(&broker, "a").await;
    let mut at_a = subscribe(&a, "t").await;
    let message = |version: u8, header: &str, payload: &str| {
        let length = u32::try_from(header.len()).unwrap().to_be_bytes();
        [b"phx", &[version][..], &length, header.as_bytes(), payload.as_bytes()].concat()
    };
    let header =
        |event: &str| format!(r#"{{"node":"x","start":1,"topic":"t","event":"{event}","later":[1]}}"#);
    for bytes in [
        Vec::new(),
        b"hello, world".to_vec(),
        b"phx\x01\xff\xff\xff\xff".to_vec(),
        message(1, "{}", "{}"),
        message(1, &header("phx_close"), "{}"),
        message(1, &header("e"), "[]"),
        message(2, &header("e"), "{}"),
        message(1, &header("end"), "{}"),
    ] {
        E::inject(&broker, "phx", "t", bytes).await;
    }
    assert_eq!(events(&mut at_a).await, Vec::<String>::new());
    let stats = a.stats();
    assert_eq!((stats.malformed, stats.unknown_versions, stats.received), (6, 1, 1));
}

/// `known` makes engines that the broker accepts, `strangers` are engines that distrust it or that it distrusts: each of them
/// makes the broker log `refusal`.
pub async fn only_those_meet_who_trust_each_other<E: Engine>(
    broker: &Broker,
    known: impl Fn() -> E,
    strangers: [E; 2],
    refusal: &str,
) {
    let [a, b] = ["a", "b"].map(|name| PubSub::builder().node(name).engine(known()));
    let mut at_b = subscribe(&b, "t").await;
    a.settled().await;
    for stranger in strangers {
        let stranger = PubSub::builder().engine(stranger);
        assert!(broker.process().wait_for_log(refusal).is_some());
        let refused = stranger.broadcast("t", "e", Payload::EMPTY).unwrap_err();
        assert_eq!(refused, BroadcastError::Publish(PublishError::Disconnected));
    }
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(events(&mut at_b).await, Vec::<String>::new());
}
