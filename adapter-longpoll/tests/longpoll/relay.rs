//! Requests that reach another node than the session's: protocol §15.4, FEATURES H11.

use std::time::Duration;

use phoenix_server::{Endpoint, LocalCluster, LongPollOptions, Payload, PubSub, SocketOptions};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, messages, mounted, secret, settle, shout};

fn node(pubsub: &PubSub, letters: &[&str]) -> Endpoint {
    let builder = Endpoint::builder().pubsub(pubsub.clone());
    let builder = letters.iter().fold(builder, |builder, letter| builder.secret_key_base(secret(letter)));
    mounted(builder, SocketOptions::new().longpoll(LongPollOptions::new()))
}

/// Three endpoints in one process with one PubSub, and three nodes of a cluster.
fn settings() -> [[Endpoint; 3]; 2] {
    let pubsub = PubSub::local();
    let cluster = LocalCluster::new();
    let nodes = ["a", "b", "c"].map(|name| PubSub::builder().node(name).engine(cluster.engine()));
    [[&pubsub; 3].map(|pubsub| node(pubsub, &["x"])), nodes.each_ref().map(|pubsub| node(pubsub, &["x"]))]
}

#[tokio::test(start_paused = true)]
async fn every_node_serves_every_session() {
    for [a, b, c] in settings() {
        let client = Client::open(&a).await;
        let [at_b, at_c] = [client.at(&b), client.at(&c)];
        at_b.join().await;
        assert_eq!((a.connections(), b.connections()), (1, 0));
        assert_eq!(at_c.post(r#"["1","2","room:1","shout",{"n":1}]"#).await, 200);
        assert_eq!(at_b.messages().await, [shout(1)]);
        at_b.silence().await;

        let poll = at_c.waiting().await;
        b.broadcast("room:1", "shout", Payload::json(&json!({"n": 2})).unwrap()).unwrap();
        assert_eq!(messages(&poll.await.unwrap()), [shout(2)]);

        // Binary in, and what is no base64, and no message.
        assert_eq!(at_b.post("AAEBBgQxMnJvb206MXNpemUBAgM=").await, 200);
        assert_eq!(client.messages().await.len(), 1);
        assert_eq!(at_b.post("[not json").await, 410);
        at_c.assert_gone().await;
        client.assert_gone().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_at_another_node_that_is_lost_comes_again() {
    for [a, b, _] in settings() {
        let client = Client::open(&a).await;
        let elsewhere = client.at(&b);
        elsewhere.join().await;
        for (number, waits) in [(1, false), (3, true)] {
            let poll = waits.then(|| elsewhere.waiting());
            let poll = match poll {
                Some(poll) => Some(poll.await),
                None => None,
            };
            let send = |number| {
                let payload = Payload::json(&json!({"n": number})).unwrap();
                a.broadcast("room:1", "shout", payload).unwrap();
            };
            send(number);
            match poll {
                // The answer is on its way when the client goes.
                Some(poll) => poll.abort(),
                None => drop(elsewhere.poll().await),
            }
            settle().await;
            send(number + 1);
            assert_eq!(elsewhere.messages().await, [shout(number), shout(number + 1)]);
        }
        client.silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_has_no_session() {
    let cluster = LocalCluster::new();
    let [a, b] = ["a", "b"].map(|name| PubSub::builder().node(name).engine(cluster.engine()));
    let client = Client::open(&node(&a, &["x"])).await;
    let b = node(&b, &["x"]);
    let elsewhere = client.at(&b);
    elsewhere.join().await;
    cluster.split(&["a".into()], &["b".into()]);
    let start = Instant::now();
    assert_eq!(elsewhere.post("").await, 410);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let opened = elsewhere.get().await;
    assert_eq!(opened["status"], 410);
    assert_ne!(opened["token"], *client.token);
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    assert_eq!(b.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_session_of_a_living_node_is_gone_at_once() {
    for [a, b, _] in settings() {
        let client = Client::open_with(&a, "&id=user:1").await;
        client.at(&b).join().await;
        b.disconnect("user:1").unwrap();
        settle().await;
        client.at(&b).assert_gone().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_may_be_given_a_new_secret_one_after_the_other() {
    let pubsub = PubSub::local();
    let (old, new) = (node(&pubsub, &["x"]), node(&pubsub, &["y", "x"]));
    let stranger = node(&pubsub, &["z"]);
    let client = Client::open(&old).await;
    client.at(&new).join().await;
    client.at(&stranger).assert_gone().await;
    // The old node does not know the new secret.
    Client::open(&new).await.at(&old).assert_gone().await;
}
