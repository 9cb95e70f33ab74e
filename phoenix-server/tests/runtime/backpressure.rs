//! What happens when one side is faster than the other: nothing grows without a limit, and nobody else suffers.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use phoenix_server::{
    CloseCode, Disconnect, Endpoint, HttpRequest, Incoming, Opcode, Outgoing, QueueLimits, SendError,
    SlowConsumer, SocketOptions, Transport, TransportOptions,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{
    Client, Info, Probe, broadcast, crashed, endpoint, endpoint_with, memory, memory_with_room, probe,
    pushed, reply_to,
};

/// How many messages of a client may be with its channels.
const CREDITS: usize = 256;

fn limited(limits: QueueLimits) -> Endpoint {
    endpoint_with(SocketOptions::new().queue(limits), TransportOptions::new("memory"))
}

fn shout(n: usize) -> Value {
    broadcast("room:a", "shout", json!({"n": n}))
}

fn broadcast_shouts(endpoint: &Endpoint, numbers: std::ops::Range<usize>) {
    for n in numbers {
        endpoint.broadcast("room:a", "shout", json!({"n": n})).unwrap();
    }
}

async fn joined(endpoint: &Endpoint, probe: &Probe, room: usize) -> Client {
    let mut client = memory_with_room(endpoint, probe, "", room).await;
    client.join("room:a", &json!({})).await;
    client
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_disconnected_with_1013_after_what_was_queued() {
    let (slow_probe, fast_probe) = (probe(), probe());
    let endpoint = limited(QueueLimits::new().frames(10));
    let mut slow = joined(&endpoint, &slow_probe, 2).await;
    let mut fast = memory_with_room(&endpoint, &fast_probe, "", 100).await;

    broadcast_shouts(&endpoint, 0..100);

    slow.expect((0..10).map(shout)).await;
    slow.expect_close(1013).await;
    assert_eq!(slow_probe.next().await, "terminate room:a too_slow");
    fast.expect_alive().await;
    assert_eq!((endpoint.connections(), endpoint.dropped()), (1, 90));
}

#[tokio::test(start_paused = true)]
async fn unwritten_frames_count_as_queued_ones_do() {
    let probe = probe();
    let endpoint = limited(QueueLimits::new().frames(10));
    let mut client = joined(&endpoint, &probe, 1).await;

    // One gets into the room, nine are taken by the connection but not written.
    broadcast_shouts(&endpoint, 0..10);
    tokio::task::yield_now().await;
    // So that there is room for one more, not for ten.
    broadcast_shouts(&endpoint, 10..12);

    client.expect((0..11).map(shout)).await;
    client.expect_close(1013).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_are_limited_too() {
    let (probe, text) = (probe(), "x".repeat(1000));
    let endpoint = limited(QueueLimits::new().bytes(5000));
    let mut client = joined(&endpoint, &probe, 100).await;

    for _ in 0..5 {
        endpoint.broadcast("room:a", "big", json!({"text": text})).unwrap();
    }

    for _ in 0..4 {
        client.expect([broadcast("room:a", "big", json!({"text": text}))]).await;
    }
    client.expect_close(1013).await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_do_not_fit_are_dropped_on_request() {
    let probe = probe();
    let endpoint = limited(QueueLimits::new().frames(3).policy(SlowConsumer::Drop));
    let mut client = joined(&endpoint, &probe, 1).await;

    broadcast_shouts(&endpoint, 0..10);
    client.expect((0..3).map(shout)).await;
    client.expect_silence().await;
    assert_eq!(endpoint.dropped(), 7);

    // The gap is all that happened: what comes later arrives.
    broadcast_shouts(&endpoint, 10..13);
    client.expect((10..13).map(shout)).await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_when_the_write_timeout_is_over() {
    let (endpoint, stuck_probe, probe) = (endpoint(), probe(), probe());
    let stuck = joined(&endpoint, &stuck_probe, 1).await;
    let mut other = joined(&endpoint, &probe, 100).await;
    let start = tokio::time::Instant::now();

    broadcast_shouts(&endpoint, 0..3);

    assert_eq!(stuck.task.await.ok(), Some(()));
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(stuck_probe.next().await, "terminate room:a too_slow");
    other.expect((0..3).map(shout)).await;
    other.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_not_cut() {
    let probe = probe();
    let memory = TransportOptions::new("memory").write_timeout(Duration::from_secs(10)).timeout(None);
    let endpoint = endpoint_with(SocketOptions::new(), memory);
    let mut client = joined(&endpoint, &probe, 1).await;

    broadcast_shouts(&endpoint, 0..10);

    for n in 0..10 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        client.expect([shout(n)]).await;
    }
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_read_either() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = joined(&endpoint, &probe, 1).await;
    broadcast_shouts(&endpoint, 0..2);
    tokio::task::yield_now().await;

    client.push("2", "room:a", "note", &json!("read"));
    probe.assert_silent().await;

    client.expect((0..2).map(shout)).await;
    assert_eq!(probe.next().await, "note read");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_channel_is_behind_is_not_read_until_it_catches_up() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    client.join("room:b", &json!({})).await;

    for n in 1..CREDITS {
        client.push(&n.to_string(), "room:a", "wait", &json!({}));
    }
    assert_eq!(probe.next().await, "waiting room:a");
    // One credit is left, so that this is read.
    client.push("last", "room:b", "echo", &json!({}));
    client.expect([reply_to("last", "room:b", "ok", json!({}))]).await;
    client.push("over", "room:b", "wait", &json!({}));
    assert_eq!(probe.next().await, "waiting room:b");
    // Now none is left, not even for a heartbeat.
    client.send(&json!([null, "hb", "phoenix", "heartbeat", {}]));
    client.expect_silence().await;

    probe.open_gate(1);
    client.expect([reply_to("1", "room:a", "ok", json!("waited"))]).await;
    assert_eq!(client.recv().await[1], "hb");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_ends_gives_its_credits_back() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    for n in 0..CREDITS {
        client.push(&n.to_string(), "room:a", "wait", &json!({}));
    }
    client.expect_silence().await;
    client.send(&json!([null, "hb", "phoenix", "heartbeat", {}]));
    client.expect_silence().await;
    probe.handle("room:a").abort().unwrap();

    client.expect([crashed("room:a")]).await;
    assert_eq!(client.recv().await[1], "hb");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_join_counts_too() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;

    client.send(&json!(["1", "1", "room:a", "phx_join", {"join": "wait"}]));
    for n in 0..CREDITS {
        client.push(&n.to_string(), "room:a", "echo", &json!(n));
    }
    assert_eq!(probe.next().await, "joining room:a");
    client.send(&json!([null, "hb", "phoenix", "heartbeat", {}]));
    client.expect_silence().await;
    probe.open_gate(1);

    client.expect([reply_to("1", "room:a", "ok", json!({}))]).await;
    client.expect((0..CREDITS).map(|n| reply_to(&n.to_string(), "room:a", "ok", json!(n)))).await;
    assert_eq!(client.recv().await[1], "hb");
}

#[tokio::test(start_paused = true)]
async fn backpressure_is_no_silence_of_the_client() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    for n in 0..CREDITS {
        client.push(&n.to_string(), "room:a", "wait", &json!({}));
    }
    assert_eq!(probe.next().await, "waiting room:a");

    // The client is not read: its idle time does not count.
    tokio::time::sleep(Duration::from_secs(300)).await;
    probe.open_gate(CREDITS);

    client.expect((0..CREDITS).map(|n| reply_to(&n.to_string(), "room:a", "ok", json!("waited")))).await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_of_infos_learns_that_a_channel_does_not_keep_up() {
    let probe = probe();
    let endpoint = limited(QueueLimits::new().mailbox(3));
    let mut client = joined(&endpoint, &probe, 100).await;
    client.push("2", "room:a", "wait", &json!({}));
    assert_eq!(probe.next().await, "waiting room:a");
    let handle = probe.handle("room:a");

    for n in 0..3 {
        handle.send(Info::Push(n.to_string())).unwrap();
    }
    assert_eq!(handle.send(Info::Push("over".into())), Err(SendError::MailboxFull));
    // It is the sender who knows, so that this is no loss; pushes are another queue.
    handle.push("direct", json!({})).unwrap();
    client.expect([pushed("room:a", "direct", json!({}))]).await;
    assert_eq!(handle.send(Info::Push("over".into())), Err(SendError::MailboxFull));
    assert_eq!(endpoint.dropped(), 0);

    probe.open_gate(1);
    client.expect([reply_to("2", "room:a", "ok", json!("waited"))]).await;
    client.expect((0..3).map(|n| pushed("room:a", "info", json!({"text": n.to_string()})))).await;
    for n in 0..3 {
        handle.send(Info::Push(n.to_string())).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_ends_with_mail_leaves_no_place_taken() {
    let probe = probe();
    let endpoint = limited(QueueLimits::new().mailbox(3));
    let mut client = joined(&endpoint, &probe, 100).await;
    for _ in 0..2 {
        client.push("2", "room:a", "wait", &json!({}));
        assert_eq!(probe.next().await, "waiting room:a");
        let handle = probe.handle("room:a");
        for _ in 0..3 {
            handle.send(Info::Stop).unwrap();
        }
        handle.abort().unwrap();
        client.expect([crashed("room:a")]).await;
        assert_eq!(probe.next().await, "dropped room:a");
        // Nobody reads what is sent to it now, nor keeps it.
        for _ in 0..10 {
            handle.send(Info::Stop).unwrap();
            tokio::task::yield_now().await;
        }
        client.join("room:a", &json!({})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_channel_does_not_take_broadcasts_is_disconnected_with_1013() {
    for (event, topic) in [("tapped", "tap:a"), ("any", "news")] {
        let probe = probe();
        let endpoint = limited(QueueLimits::new().mailbox(3));
        let mut client = memory(&endpoint, &probe, "").await;
        client.join("tap:a", &json!({})).await;
        client.push("2", "tap:a", "subscribe", &json!({"topic": "news"}));
        client.push("3", "tap:a", "wait", &json!({}));
        assert_eq!(probe.next().await, "waiting tap:a");

        for _ in 0..3 {
            endpoint.broadcast(topic, event, json!({})).unwrap();
        }
        client.expect_alive().await;
        endpoint.broadcast(topic, event, json!({})).unwrap();

        client.expect_close(1013).await;
        assert_eq!(endpoint.dropped(), 1);
        client.task.await.unwrap();
        assert_eq!(endpoint.dropped(), 1);
        probe.open_gate(1);
        assert_eq!(probe.next().await, "terminate tap:a too_slow");
    }
}

#[tokio::test(start_paused = true)]
async fn broadcasts_that_a_channel_does_not_take_are_dropped_on_request() {
    let probe = probe();
    let endpoint = limited(QueueLimits::new().mailbox(2).policy(SlowConsumer::Drop));
    let mut client = memory(&endpoint, &probe, "user=me").await;
    client.join("tap:a", &json!({})).await;
    client.push("3", "tap:a", "wait", &json!({}));
    assert_eq!(probe.next().await, "waiting tap:a");

    for n in 0..10 {
        endpoint.broadcast("tap:a", "tapped", json!({"n": n})).unwrap();
    }
    endpoint.broadcast("tap:a", "other", json!({})).unwrap();

    // What is not intercepted has nothing to do with it.
    client.expect([broadcast("tap:a", "other", json!({}))]).await;
    assert_eq!(endpoint.dropped(), 8);
    probe.open_gate(1);
    client.expect([reply_to("3", "tap:a", "ok", json!("waited"))]).await;
    for n in 0..2 {
        client.expect([pushed("tap:a", "tapped", json!({"for": "me", "was": {"n": n}}))]).await;
    }
    client.expect_silence().await;
}

/// A client that always has the next message ready, and reads at once.
struct Firehose {
    messages: usize,
    replies: mpsc::UnboundedSender<Opcode>,
}

impl Transport for Firehose {
    fn poll_receive(
        &mut self,
        _: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>> {
        let message = match self.messages {
            0 => return Poll::Ready(Err(Disconnect::GONE)),
            1000 => r#"["1","1","room:a","phx_join",{}]"#.to_owned(),
            n => format!(r#"["1","{n}","room:a","echo",{{}}]"#),
        };
        self.messages -= 1;
        incoming.push(Incoming::Text(message.into()));
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, _: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        while let Some(frame) = outgoing.pop() {
            self.replies.send(frame.opcode()).unwrap();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, code: Option<CloseCode>) -> Poll<()> {
        panic!("closed with {code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_never_idle_is_not_taken_for_a_slow_one() {
    let probe = probe();
    let endpoint = limited(QueueLimits::new().frames(10));
    let request =
        http::Request::get(format!("/socket/memory?vsn=2.0.0&probe={}", probe.name)).body(()).unwrap();
    let accepted = endpoint.accept("memory", &HttpRequest::new(request.into_parts().0)).await.unwrap();
    let (replies, mut heard) = mpsc::unbounded_channel();

    accepted.run(Firehose { messages: 1000, replies }).await;

    assert_eq!(endpoint.dropped(), 0);
    let mut count = 0;
    while heard.recv().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 1000);
}
