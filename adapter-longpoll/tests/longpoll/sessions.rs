//! What happens in a session and how it ends: protocol §15.5, §15.7.

use std::time::Duration;

use phoenix_server::{Drained, Endpoint, LongPollOptions, Payload, QueueLimits, SocketOptions};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{Client, endpoint, messages, mounted, settle, shout};

#[tokio::test(start_paused = true)]
async fn messages_wait_for_polls_and_polls_for_messages() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.silence().await;
    client.join().await;
    for number in 0..2 {
        let line = format!(r#"["1","{number}","room:1","shout",{{"n":{number}}}]"#);
        assert_eq!(client.post(&line).await, 200);
    }
    assert_eq!(client.messages().await, [shout(0), shout(1)]);

    let poll = client.waiting().await;
    endpoint.broadcast("room:1", "shout", Payload::json(&json!({"n": 2})).unwrap()).unwrap();
    assert_eq!(messages(&poll.await.unwrap()), [shout(2)]);
    client.silence().await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_poll_gets_the_messages() {
    let client = Client::open(&endpoint()).await;
    client.join().await;
    let start = Instant::now();
    let old = client.waiting().await;
    sleep(Duration::from_secs(1)).await;
    let new = client.waiting().await;
    assert_eq!(client.post(r#"["1","2","room:1","shout",{"n":1}]"#).await, 200);
    assert_eq!(messages(&new.await.unwrap()), [shout(1)]);
    assert_eq!(old.await.unwrap()["status"], 204);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_it_is_not_polled() {
    let endpoint = endpoint();
    // Looked at every 15 s, and over when the last poll started more than 15 s before.
    for (last_poll, end) in [(0, 30), (14, 30), (16, 45)] {
        let (client, mut ended) = Client::open_logged(&endpoint, "").await;
        sleep(Duration::from_secs(last_poll)).await;
        client.waiting().await.abort();
        // POSTs do not count.
        for _ in last_poll..end - 1 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(client.post("").await, 200);
        }
        sleep(Duration::from_millis(999)).await;
        assert_eq!(endpoint.connections(), 1);
        sleep(Duration::from_millis(1)).await;
        settle().await;
        assert_eq!(endpoint.connections(), 0, "{last_poll}");
        assert_eq!(ended.recv().await.unwrap(), "inactive");
        client.assert_gone().await;
        sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_hangs_does_not_keep_a_session() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join().await;
    let hang = [r#"["1","2","room:1","hang",{}]"#; 100].join("\n");
    for _ in 0..3 {
        client.post(&hang).await;
    }
    sleep(Duration::from_secs(45)).await;
    settle().await;
    assert_eq!(endpoint.connections(), 0);
    client.assert_gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_ends_it_and_the_poll_that_waits_runs_into_its_window() {
    let endpoint = endpoint();
    let (client, mut ended) = Client::open_logged(&endpoint, "&id=user:1").await;
    let start = Instant::now();
    let poll = client.waiting().await;
    endpoint.disconnect("user:1").unwrap();
    assert_eq!(ended.recv().await.unwrap(), "disconnected");
    assert_eq!(client.post("").await, 410);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(poll.await.unwrap(), json!({"messages": [], "status": 204, "token": client.token}));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    client.assert_gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_it_and_opens_no_more() {
    let endpoint = endpoint();
    let (client, mut ended) = Client::open_logged(&endpoint, "").await;
    let Drained { closed, remaining, .. } = endpoint.shutdown().await;
    assert_eq!((closed, remaining), (1, 0));
    assert_eq!(ended.recv().await.unwrap(), "draining");
    assert_eq!(client.post("").await, 410);
    assert_eq!(client.poll().await.status(), 503);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_ends_the_session() {
    let mut queue = QueueLimits::default();
    queue.frames = 10;
    let options = SocketOptions::new().longpoll(LongPollOptions::new()).queue(queue);
    let endpoint = mounted(Endpoint::builder(), options);
    let (client, mut ended) = Client::open_logged(&endpoint, "").await;
    for number in 0..11 {
        assert_eq!(endpoint.connections(), 1);
        endpoint.broadcast("room:1", "shout", Payload::json(&json!({"n": number})).unwrap()).unwrap();
        settle().await;
    }
    assert_eq!(ended.recv().await.unwrap(), "too_slow");
    client.assert_gone().await;
}

#[tokio::test(start_paused = true)]
async fn no_binary_goes_out() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join().await;
    client.post(r#"["1","2","room:1","push_binary",{}]"#).await;
    assert_eq!(
        client.messages().await,
        [concat!(
            r#"["1","2","room:1","phx_reply",{"status":"error","response":"#,
            r#"{"reason":"binary messages do not reach clients over long polling"}}]"#
        )]
    );
    // Other clients get it.
    endpoint.broadcast("room:1", "data", Payload::Binary("\u{ff}".into())).unwrap();
    client.silence().await;
    client.post(r#"["1","3","room:1","reply_binary",{}]"#).await;
    assert_eq!(client.messages().await, [r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#]);
}
