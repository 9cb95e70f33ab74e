//! The Redis engine against a real server.

use std::time::Duration;

use phoenix_pubsub_redis::RedisEngine;
use phoenix_pubsub_testing::suite::{self, EngineUnderTest, Patience};
use phoenix_pubsub_testing::{Broker, Kind, engine_tests};
use phoenix_server::{Backoff, BroadcastError, Payload, PubSub, PublishError};

struct Redis;

impl EngineUnderTest for Redis {
    type Engine = RedisEngine;

    const KIND: Kind = Kind::Redis;

    fn engine(broker: &Broker, prefix: &str, patience: Patience) -> RedisEngine {
        let timeout = match patience {
            Patience::Short => Duration::from_millis(200),
            Patience::Long => Duration::from_secs(1000),
        };
        engine(&broker.url()).prefix(prefix).response_timeout(timeout).ping_interval(timeout)
    }

    async fn inject(broker: &Broker, prefix: &str, topic: &str, bytes: Vec<u8>) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(format!("{prefix}:topic:{topic}")).arg(bytes);
        publish.query_async::<()>(&mut client(broker).await).await.unwrap();
    }
}

engine_tests!(Redis);

fn engine(url: &str) -> RedisEngine {
    RedisEngine::new(url).unwrap().backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(50)))
}

async fn client(broker: &Broker) -> redis::aio::MultiplexedConnection {
    redis::Client::open(broker.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_user_needs_no_more_permissions_than_the_documented_ones() {
    let acl =
        "user chat on >secret resetchannels &phx:* -@all +hello +publish +subscribe +unsubscribe +ping\n";
    let Some(broker) = Broker::start(Kind::Redis, acl) else { return };
    let chat = || engine(&broker.url()).credentials("chat", "secret");
    let pubsub =
        |name: &str| PubSub::builder().node(name).engine(chat().ping_interval(Duration::from_millis(1)));
    let [a, b] = [pubsub("a"), pubsub("b")];
    let mut at_b = b.subscribe("t");
    a.settled().await;
    b.settled().await;
    drop(b.subscribe("u"));
    b.settled().await;
    a.broadcast("t", "e", Payload::EMPTY).unwrap();
    assert_eq!(at_b.recv().await.unwrap().event, "e");

    // In the URL as well.
    let url = broker.url().replace("redis://", "redis://chat:secret@");
    let c = PubSub::builder().node("c").engine(engine(&url));
    c.settled().await;
    c.broadcast("t", "from c", Payload::EMPTY).unwrap();
    assert_eq!(at_b.recv().await.unwrap().event, "from c");

    // Another prefix is not permitted, and the server says so.
    let intruder = PubSub::builder().node("d").engine(chat().prefix("phx2"));
    let mut admin = client(&broker).await;
    loop {
        let log: Vec<redis::Value> = redis::cmd("ACL").arg("LOG").query_async(&mut admin).await.unwrap();
        if !log.is_empty() {
            break;
        }
    }
    let refused = intruder.broadcast("t", "from d", Payload::EMPTY).unwrap_err();
    assert_eq!(refused, BroadcastError::Publish(PublishError::Disconnected));
    a.broadcast("t", "end", Payload::EMPTY).unwrap();
    assert_eq!(at_b.recv().await.unwrap().event, "end");
}

#[tokio::test]
async fn a_node_that_redis_disconnects_counts_a_gap_and_comes_back() {
    let Some(broker) = Broker::start(Kind::Redis, "") else { return };
    let a = PubSub::builder().node("a").engine(engine(&broker.url()));
    let mut at_a = a.subscribe("t");
    a.settled().await;
    let mut admin = client(&broker).await;
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async::<()>(&mut admin).await.unwrap();
    while a.stats().gaps == 0 {
        tokio::task::yield_now().await;
    }
    a.settled().await;
    let b = PubSub::builder().node("b").engine(engine(&broker.url()));
    b.settled().await;
    b.broadcast("t", "e", Payload::EMPTY).unwrap();
    assert_eq!(at_a.recv().await.unwrap().event, "e");
    assert_eq!(a.stats().gaps, 1);
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_over_tls_if_they_trust_the_certificate() {
    use phoenix_pubsub_testing::{ROOT_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY};

    let Some(broker) = Broker::start(Kind::RedisTls, "") else { return };
    let read = |file: &str| std::fs::read(file).unwrap();
    let trusting = || engine(&broker.url()).root_certificate(read(ROOT_CERTIFICATE)).unwrap();
    let known = || trusting().client_certificate(read(SERVER_CERTIFICATE), read(SERVER_KEY)).unwrap();
    assert!(trusting().client_certificate(*b"no certificate", *b"no key").is_err());
    let strangers = [engine(&broker.url()), trusting()];
    suite::only_those_meet_who_trust_each_other(
        &broker,
        known,
        strangers,
        "Error accepting a client connection",
    )
    .await;
}

#[test]
fn urls_are_checked() {
    assert!(RedisEngine::new("redis://127.0.0.1:6379/2").is_ok());
    for url in ["", "http://127.0.0.1", "redis://"] {
        assert!(RedisEngine::new(url).is_err(), "{url}");
    }
    assert_eq!(RedisEngine::new("rediss://127.0.0.1").is_ok(), cfg!(feature = "tls"));
}
