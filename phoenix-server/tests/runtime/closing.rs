//! How connections end, who is told what, and what channels can still do.

use std::time::Duration;

use phoenix_server::{Endpoint, Incoming, SocketOptions, TransportOptions};
use serde_json::json;

use crate::support::{
    Client, Info, MemoryEnd, Probe, closed, endpoint, endpoint_with, memory, probe, pushed, reply_to,
    websocket,
};

/// Ways for a connection to end.
#[derive(Debug, Clone, Copy)]
enum Way {
    Vanish,
    Idle,
    Disconnect,
    DisconnectFromChannel,
    Drain,
    DrainFromChannel,
    Garbage,
}

impl Way {
    async fn take(self, endpoint: &Endpoint, client: &mut Client, probe: &Probe) {
        match self {
            Self::Vanish => client.vanish(),
            Self::Idle => tokio::time::advance(Duration::from_secs(60)).await,
            Self::Disconnect => endpoint.disconnect("users:1").unwrap(),
            Self::DisconnectFromChannel => probe.handle("room:a").send(Info::Disconnect).unwrap(),
            Self::Drain => assert_eq!(endpoint.drain(), 1),
            Self::DrainFromChannel => probe.handle("room:a").send(Info::Drain).unwrap(),
            Self::Garbage => client.send_raw(Incoming::Text("{}".into())),
        }
    }

    fn expected(self) -> (Option<u16>, &'static str) {
        match self {
            Self::Vanish => (None, "peer_closed"),
            Self::Idle => (Some(1002), "read_timeout"),
            Self::Disconnect | Self::DisconnectFromChannel => (Some(1001), "disconnected"),
            Self::Drain | Self::DrainFromChannel => (Some(1012), "draining"),
            Self::Garbage => (Some(1011), "protocol_error"),
        }
    }
}

const WAYS: [Way; 7] = [
    Way::Vanish,
    Way::Idle,
    Way::Disconnect,
    Way::DisconnectFromChannel,
    Way::Drain,
    Way::DrainFromChannel,
    Way::Garbage,
];

#[tokio::test(start_paused = true)]
async fn the_client_gets_a_code_and_every_channel_a_reason() {
    for way in WAYS {
        let (endpoint, probe) = (endpoint(), probe());
        let mut client = memory(&endpoint, &probe, "id=users:1").await;
        client.join("room:a", &json!({})).await;
        client.join("room:b", &json!({})).await;

        way.take(&endpoint, &mut client, &probe).await;

        let (code, end) = way.expected();
        if let Some(code) = code {
            client.expect_close(code).await;
        }
        let mut lines = Vec::new();
        for _ in 0..5 {
            lines.push(probe.next().await);
        }
        lines.sort();
        let terminated = ["a", "b"].map(|room| format!("terminate room:{room} {end}"));
        let mut expected =
            vec!["dropped room:a".to_owned(), "dropped room:b".to_owned(), "socket dropped".to_owned()];
        expected.extend(terminated);
        assert_eq!(lines, expected, "{way:?}");
        client.task.await.unwrap();
        assert_eq!(endpoint.connections(), 0, "{way:?}");
        for topic in ["room:a", "room:b", "users:1"] {
            assert_eq!(endpoint.pubsub().local_subscribers(topic), 0, "{way:?} {topic}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_bye_of_the_client_is_told_from_a_breach_of_the_rules() {
    for (first, code, end) in [(0x88, 1000, "local_closed"), (0x83, 1002, "protocol_error")] {
        let (endpoint, probe) = (endpoint(), probe());
        let mut client = websocket(&endpoint, &probe, "").await;
        client.send(&json!(["1", "1", "room:a", "phx_join", {}])).await;
        assert_eq!(client.recv().await, reply_to("1", "room:a", "ok", json!({})));

        client.send_frame(first, &[]).await;

        assert_eq!(probe.next().await, format!("terminate room:a {end}"));
        client.expect_close(code).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_runs_is_finished_before_the_last_one() {
    for way in WAYS {
        // Channels do nothing else while they wait, so that these cannot act.
        if matches!(way, Way::DisconnectFromChannel | Way::DrainFromChannel) {
            continue;
        }
        let (endpoint, probe) = (endpoint(), probe());
        let mut client = memory(&endpoint, &probe, "id=users:1").await;
        client.join("room:a", &json!({})).await;
        client.push("2", "room:a", "wait", &json!({}));
        client.push("3", "room:a", "note", &json!("never done"));
        assert_eq!(probe.next().await, "waiting room:a");

        way.take(&endpoint, &mut client, &probe).await;

        client.task.await.unwrap();
        probe.assert_silent().await;
        probe.open_gate(1);
        assert_eq!(probe.next().await, format!("terminate room:a {}", way.expected().1), "{way:?}");
        assert_eq!(probe.next().await, "dropped room:a");
        assert_eq!(probe.next().await, "socket dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn last_callbacks_have_five_seconds() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:slow", &json!({"terminate": "wait"})).await;
    client.join("room:fast", &json!({})).await;

    let start = tokio::time::Instant::now();
    client.vanish();

    // They run side by side.
    let mut begun = [probe.next().await, probe.next().await, probe.next().await];
    begun.sort();
    assert_eq!(
        begun,
        ["dropped room:fast", "terminate room:fast peer_closed", "terminate room:slow peer_closed"]
    );
    assert_eq!(start.elapsed().as_secs(), 0);
    for _ in 0..4 {
        probe.assert_silent().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(probe.next().await, "dropped room:slow");
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(probe.next().await, "socket dropped");
}

#[tokio::test(start_paused = true)]
async fn b32_or_as_long_as_the_mount_says() {
    let options = SocketOptions::new().terminate_timeout(Duration::from_secs(60));
    let (endpoint, probe) = (endpoint_with(options, TransportOptions::new("memory")), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:slow", &json!({"terminate": "wait"})).await;

    client.vanish();

    assert_eq!(probe.next().await, "terminate room:slow peer_closed");
    tokio::time::sleep(Duration::from_secs(58)).await;
    probe.assert_silent().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(probe.next().await, "dropped room:slow");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_last_callback_harms_no_other_one() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({"terminate": "panic"})).await;
    client.join("room:b", &json!({})).await;

    endpoint.drain();

    client.expect_close(1012).await;
    client.task.await.unwrap();
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(probe.next().await);
    }
    assert!(lines.contains(&"terminate room:b draining".to_owned()), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_is_written_before_the_close() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    for n in 0..3 {
        client.push(&n.to_string(), "room:a", "echo", &json!(n));
    }
    client.push("3", "room:a", "stop", &json!({}));
    tokio::task::yield_now().await;
    endpoint.drain();

    client.expect((0..3).map(|n| reply_to(&n.to_string(), "room:a", "ok", json!(n)))).await;
    client.expect([closed("room:a"), pushed("room:a", "bye", json!({}))]).await;
    client.expect_close(1012).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_after_the_close() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    let handle = probe.handle("room:a");

    endpoint.drain();
    endpoint.broadcast("room:a", "shout", json!({})).unwrap();
    let _ = handle.push("direct", json!({}));
    client.push("2", "room:a", "echo", &json!({}));

    // Neither the pushes of the last callback.
    client.expect_close(1012).await;
    assert_eq!(probe.next().await, "terminate room:a draining");
    assert!(client.try_next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn several_connections_of_one_id_are_disconnected_together() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut same =
        [memory(&endpoint, &probe, "id=users:1").await, memory(&endpoint, &probe, "id=users:1").await];
    let mut others = [memory(&endpoint, &probe, "id=users:2").await, memory(&endpoint, &probe, "").await];

    // Another event on the topic of an id disconnects nobody.
    endpoint.broadcast("users:1", "other", json!({})).unwrap();
    for client in &mut same {
        client.expect_alive().await;
    }
    endpoint.disconnect("users:1").unwrap();

    for client in &mut same {
        client.expect_close(1001).await;
    }
    for client in &mut others {
        client.expect_alive().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_ends_its_channels() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.task.abort();

    assert!(client.try_next().await.is_none());
    assert_eq!(probe.next().await, "terminate room:a peer_closed");
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_the_close_is_left_after_two_seconds() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = crate::support::memory_with_room(&endpoint, &probe, "", 1).await;
    client.join("room:a", &json!({})).await;
    endpoint.broadcast("room:a", "fills the room", json!({})).unwrap();
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();

    endpoint.drain();

    (&mut client.task).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 2);
    assert!(matches!(client.try_next().await, Some(MemoryEnd::Frame(_))));
    assert!(client.try_next().await.is_none());
}
