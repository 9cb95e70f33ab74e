//! Answers that do not reach the client.

use phoenix_server::{Endpoint, Payload};
use serde_json::json;

use crate::support::{Client, endpoint, json_of, messages, settle, shout};

fn broadcast(endpoint: &Endpoint, number: u64) {
    endpoint.broadcast("room:1", "shout", Payload::json(&json!({"n": number})).unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_fetched_comes_again() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join().await;
    broadcast(&endpoint, 1);
    drop(client.poll().await);
    broadcast(&endpoint, 2);
    settle().await;
    assert_eq!(client.messages().await, [shout(1), shout(2)]);
    client.silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_client_is_gone_gets_nothing() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join().await;
    let poll = client.waiting().await;
    poll.abort();
    settle().await;
    broadcast(&endpoint, 1);
    settle().await;
    assert_eq!(client.messages().await, [shout(1)]);
}

/// The poll has its answer, but its connection breaks before the task that would write it has run.
#[tokio::test(start_paused = true)]
async fn an_answer_on_its_way_comes_again() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join().await;
    let (aborting, poll) = (client.clone(), client.waiting().await);
    broadcast(&endpoint, 1);
    poll.abort();
    settle().await;
    assert_eq!(aborting.messages().await, [shout(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_loses_every_second_answer_loses_no_message() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join().await;
    let mut received = Vec::new();
    let mut sent = 0;
    for round in 0..400_u64 {
        // Sometimes before the poll, sometimes while it waits, sometimes both.
        for _ in 0..round % 3 {
            broadcast(&endpoint, sent);
            sent += 1;
        }
        let poll = client.clone();
        let poll = tokio::spawn(async move { poll.poll().await });
        settle().await;
        if round % 5 < 3 {
            broadcast(&endpoint, sent);
            sent += 1;
        }
        match round % 4 {
            0 => drop(poll.await.unwrap()),
            2 => poll.abort(),
            _ => {
                let answer = json_of(poll.await.unwrap());
                if answer["status"] == 200 {
                    received.extend(messages(&answer));
                }
            }
        }
    }
    let rest = client.get().await;
    if rest["status"] == 200 {
        received.extend(messages(&rest));
    }
    assert_eq!(received, (0..sent).map(shout).collect::<Vec<_>>());
}
