//! The NATS engine against a real server.

use std::time::Duration;

use phoenix_pubsub_nats::NatsEngine;
use phoenix_pubsub_testing::suite::{self, EngineUnderTest, Patience};
use phoenix_pubsub_testing::{Broker, Kind, engine_tests};
use phoenix_server::{Backoff, BroadcastError, Payload, PubSub, PublishError};
use serde_json::json;

struct Nats;

impl EngineUnderTest for Nats {
    type Engine = NatsEngine;

    const KIND: Kind = Kind::Nats;

    fn engine(broker: &Broker, prefix: &str, patience: Patience) -> NatsEngine {
        let timeout = match patience {
            Patience::Short => Duration::from_millis(100),
            Patience::Long => Duration::from_secs(1000),
        };
        engine(&broker.url()).prefix(prefix).unwrap().response_timeout(timeout).ping_interval(timeout)
    }

    async fn inject(broker: &Broker, prefix: &str, topic: &str, bytes: Vec<u8>) {
        let client = async_nats::connect(broker.url()).await.unwrap();
        client.publish(format!("{prefix}.t:{topic}"), bytes.into()).await.unwrap();
        client.flush().await.unwrap();
    }
}

engine_tests!(Nats);

fn engine(urls: &str) -> NatsEngine {
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
    NatsEngine::new(urls).unwrap().backoff(backoff).topic_capacity(100_000)
}

#[tokio::test]
async fn a_user_needs_no_more_permissions_than_the_documented_ones() {
    let users = r#"authorization { users = [
        { user: chat, password: secret, permissions: { publish: "phx.>", subscribe: "phx.>" } }
    ] }"#;
    let Some(broker) = Broker::start(Kind::Nats, users) else { return };
    let chat = || engine(&broker.url()).user_and_password("chat", "secret");
    let pubsub = |name: &str| PubSub::builder().node(name).engine(chat());
    let [a, b] = [pubsub("a"), pubsub("b")];
    let mut at_b = b.subscribe("t");
    a.settled().await;
    b.settled().await;
    a.broadcast("t", "e", Payload::EMPTY).unwrap();
    assert_eq!(at_b.recv().await.unwrap().event, "e");

    // In the URL as well.
    let url = broker.url().replace("nats://", "nats://chat:secret@");
    let c = PubSub::builder().node("c").engine(engine(&url));
    c.settled().await;
    c.broadcast("t", "from c", Payload::EMPTY).unwrap();
    assert_eq!(at_b.recv().await.unwrap().event, "from c");

    // Another prefix is not permitted, and the server says so.
    let intruder = PubSub::builder().node("d").engine(chat().prefix("phx2").unwrap());
    let broker = tokio::task::spawn_blocking(move || {
        assert!(broker.process().wait_for_log("Violation").is_some());
        broker
    });
    let _broker = broker.await.unwrap();
    let refused = intruder.broadcast("t", "from d", Payload::EMPTY).unwrap_err();
    assert_eq!(refused, BroadcastError::Publish(PublishError::Disconnected));
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(at_b.recv().await.unwrap().event, "end");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_refused_and_reaches_nobody() {
    let Some(broker) = Broker::start(Kind::Nats, "max_payload: 1000") else { return };
    let a = PubSub::builder().node("a").engine(engine(&broker.url()));
    let mut at_a = a.subscribe("t");
    a.settled().await;
    let error = a.broadcast("t", "e", json!({ "text": "x".repeat(1000) })).unwrap_err();
    assert_eq!(error, BroadcastError::Publish(PublishError::TooLarge { limit: 1000 }));
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(at_a.recv().await.unwrap().event, "end");
}

#[tokio::test]
async fn broadcasts_beyond_the_capacity_of_a_topic_are_a_gap() {
    let Some(broker) = Broker::start(Kind::Nats, "") else { return };
    let a = PubSub::builder().node("a").engine(engine(&broker.url()));
    let b = PubSub::builder().node("b").engine(engine(&broker.url()).topic_capacity(1));
    let _at_b = b.subscribe("t");
    a.settled().await;
    b.settled().await;
    // Several come in one read, before the engine has its turn.
    while b.stats().gaps == 0 {
        for _ in 0..100 {
            a.broadcast("t", "e", Payload::EMPTY).unwrap();
        }
        tokio::task::yield_now().await;
    }
    assert!(b.stats().connected);
}

#[tokio::test]
async fn any_of_the_servers_will_do() {
    let (Some(mut down), Some(broker)) = (Broker::start(Kind::Nats, ""), Broker::start(Kind::Nats, ""))
    else {
        return;
    };
    down.kill();
    let a = PubSub::builder().node("a").engine(engine(&format!("{},{}", down.url(), broker.url())));
    a.settled().await;
    a.broadcast("t", "e", Payload::EMPTY).unwrap();
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_over_tls_if_they_trust_the_certificate() {
    use phoenix_pubsub_testing::{ROOT_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY};

    let Some(broker) = Broker::start(Kind::NatsTls, "") else { return };
    let trusting = || engine(&broker.url()).root_certificates(ROOT_CERTIFICATE);
    let known = || trusting().client_certificate(SERVER_CERTIFICATE, SERVER_KEY);
    let strangers = [engine(&broker.url()), trusting()];
    suite::only_those_meet_who_trust_each_other(&broker, known, strangers, "TLS handshake error").await;
}

#[test]
fn urls_and_prefixes_are_checked() {
    for urls in ["", "http://127.0.0.1", "nats://a,,"] {
        assert!(NatsEngine::new(urls).is_err(), "{urls}");
    }
    assert!(NatsEngine::new("10.0.0.1, nats://10.0.0.2:4222").unwrap().prefix("a b").is_err());
}
