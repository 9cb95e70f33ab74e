//! A channel that crashes or blocks harms nobody else.

use std::time::Duration;

use serde_json::json;

use crate::support::{Info, crashed, endpoint, memory, probe, pushed, reply_to};

#[tokio::test(start_paused = true)]
async fn a_crash_in_any_callback_ends_that_channel_alone() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    let mut other = memory(&endpoint, &probe, "").await;
    for client in [&mut client, &mut other] {
        client.join("tap:b", &json!({})).await;
    }

    for crash in ["unknown event", "panic", "info", "info panic", "out", "out panic"] {
        client.join("tap:a", &json!({})).await;
        let handle = probe.handle("tap:a");
        match crash {
            "info" => handle.send(Info::Crash).unwrap(),
            "info panic" => handle.send(Info::Panic).unwrap(),
            "out" => endpoint.broadcast("tap:a", "tapped", json!({"out": "crash"})).unwrap(),
            "out panic" => endpoint.broadcast("tap:a", "tapped", json!({"out": "panic"})).unwrap(),
            event => client.push("2", "tap:a", event, &json!({})),
        }
        client.expect([pushed("tap:a", "bye", json!({})), crashed("tap:a")]).await;
        assert_eq!(probe.next().await, "terminate tap:a crashed", "{crash}");
        assert_eq!(probe.next().await, "dropped tap:a", "{crash}");
        assert_eq!(endpoint.pubsub().local_subscribers("tap:a"), 0);
    }
    for client in [&mut client, &mut other] {
        client.push("3", "tap:b", "echo", &json!({}));
        client.expect([reply_to("3", "tap:b", "ok", json!({}))]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_last_callback_ends_that_channel_alone() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({"terminate": "panic"})).await;
    client.push("2", "room:a", "panic", &json!({}));
    client.expect([pushed("room:a", "bye", json!({})), crashed("room:a")]).await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_channel_is_dropped_ends_that_channel_alone() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    let params = json!({"drop": "panic"});

    // After its last callback.
    client.join("room:a", &params).await;
    client.push("2", "room:a", "panic", &json!({}));
    client.expect([pushed("room:a", "bye", json!({})), crashed("room:a")]).await;
    // While it is idle.
    client.join("room:a", &params).await;
    probe.handle("room:a").abort().unwrap();
    client.expect([crashed("room:a")]).await;
    // In the middle of a callback.
    client.join("room:a", &params).await;
    client.push("2", "room:a", "wait", &json!({}));
    client.expect_silence().await;
    probe.handle("room:a").abort().unwrap();
    client.expect([crashed("room:a")]).await;

    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_channel_delays_itself_only() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:slow", &json!({})).await;
    client.join("room:fast", &json!({})).await;

    client.push("2", "room:slow", "wait", &json!({}));
    client.push("3", "room:slow", "echo", &json!("behind"));
    for n in 0..10 {
        client.push("4", "room:fast", "echo", &json!(n));
        client.expect([reply_to("4", "room:fast", "ok", json!(n))]).await;
        client.expect_alive().await;
    }
    probe.open_gate(1);
    client.expect([reply_to("2", "room:slow", "ok", json!("waited"))]).await;
    client.expect([reply_to("3", "room:slow", "ok", json!("behind"))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_never_rests_starves_nobody() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:busy", &json!({})).await;
    client.join("room:a", &json!({})).await;

    probe.handle("room:busy").send(Info::Again).unwrap();

    // Nothing is ever idle here, so that virtual time stands still.
    client.push("2", "room:a", "echo", &json!({}));
    client.expect([reply_to("2", "room:a", "ok", json!({}))]).await;
    client.push("3", "room:busy", "echo", &json!({}));
    client.expect([reply_to("3", "room:busy", "ok", json!({}))]).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    client.expect_close(1002).await;
}
