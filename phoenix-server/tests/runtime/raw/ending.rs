//! How a connection ends, and what its socket is told.

use std::time::Duration;

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use phoenix_server::{SocketOptions, WebSocketOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::app::{Info, connect, endpoint, endpoint_with};
use crate::support::{PATIENCE, RawClient, frame, probe, upgrade, upgrade_request};

/// A close frame with a code and a reason, then the end.
async fn expect_close_with(mut client: RawClient, code: u16, reason: &str) {
    client.expect_frame(0x88, [&code.to_be_bytes(), reason.as_bytes()].concat()).await;
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
    drop(client.stream);
    client.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn c12_a_stop_closes_with_1000_behind_its_frames() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let bytes = [frame(0x81, b"stop"), frame(0x81, b"ignored")].concat();
    client.stream.write_all(&bytes).await.unwrap();
    client.hear("bye").await;
    client.expect_close(1000).await;
    probe.expect(&["in stop", "terminate normal None", "dropped"]).await;
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn c12_every_callback_may_stop() {
    let (endpoint, one, two, three) = (endpoint(), probe(), probe(), probe());
    connect(&endpoint, &one, "init=stop").await.expect_close(1000).await;
    one.expect(&["terminate normal None"]).await;
    let mut client = connect(&endpoint, &two, "").await;
    client.send_frame(0x8A, b"stop").await;
    client.expect_close(1000).await;
    two.expect(&["terminate normal None"]).await;
    let client = connect(&endpoint, &three, "").await;
    three.raw_handle().send(Info::Stop).unwrap();
    client.expect_close(1000).await;
    three.expect(&["info Stop", "terminate normal None"]).await;
}

#[tokio::test(start_paused = true)]
async fn c13_a_stop_may_have_a_code_a_reason_and_frames() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("close 4001").await;
    client.hear("bye").await;
    expect_close_with(client, 4001, "enough").await;
    probe.expect(&["in close 4001", "terminate normal None"]).await;
    let mut client = connect(&endpoint, &self::probe(), "").await;
    client.say("restart").await;
    client.expect_close(1012).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_closes_its_own_connection_with_1011() {
    let (endpoint, other) = (endpoint(), probe());
    let mut other_client = connect(&endpoint, &other, "").await;
    for message in ["error", "panic"] {
        let probe = probe();
        let mut client = connect(&endpoint, &probe, "").await;
        client.say(message).await;
        client.expect_close(1011).await;
        probe.expect(&[&format!("in {message}"), "terminate crashed None", "dropped"]).await;
    }
    for info in [Info::Crash, Info::Panic] {
        let probe = probe();
        let client = connect(&endpoint, &probe, "").await;
        let seen = format!("info {info:?}");
        probe.raw_handle().send(info).unwrap();
        client.expect_close(1011).await;
        probe.expect(&[&seen, "terminate crashed None", "dropped"]).await;
    }
    let probe = probe();
    let mut client = connect(&endpoint, &probe, "").await;
    client.send_frame(0x8A, b"crash").await;
    client.expect_close(1011).await;
    let client = connect(&endpoint, &self::probe(), "init=crash").await;
    client.expect_close(1011).await;
    other_client.expect_alive().await;
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn c8_a_close_of_the_client_is_told_with_its_code() {
    let endpoint = endpoint();
    for (payload, answer, told) in [
        (&b""[..], 1000, "None"),
        (&1000_u16.to_be_bytes(), 1000, "Some(1000)"),
        (b"\x0f\xa1because", 1000, "Some(4001)"),
        (&1006_u16.to_be_bytes(), 1002, "Some(1006)"),
    ] {
        let probe = probe();
        let mut client = connect(&endpoint, &probe, "").await;
        client.send_frame(0x88, payload).await;
        client.expect_close(answer).await;
        probe.expect(&[&format!("terminate local_closed {told}"), "dropped"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c8_a_connection_that_breaks_is_told() {
    let (endpoint, probe) = (endpoint(), probe());
    let RawClient { stream, task } = connect(&endpoint, &probe, "").await;
    drop(stream);
    task.await.unwrap();
    probe.expect(&["terminate peer_closed None", "dropped"]).await;
    // The future of the connection is dropped.
    let client = connect(&endpoint, &probe, "").await;
    client.task.abort();
    probe.expect(&["terminate peer_closed None", "dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn c8_a_client_that_breaks_the_rules_is_told_and_what_came_before_handled() {
    let endpoint = endpoint();
    let mut oversized = vec![0x81, 0xFF];
    oversized.extend(20_000_000_u64.to_be_bytes());
    oversized.extend([0; 4]);
    for (bytes, code) in [
        (frame(0x83, b""), 1002),
        (vec![0x81, 0x01, b'a'], 1002),
        (frame(0x80, b"no beginning"), 1002),
        (frame(0x09, b"a ping in pieces"), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x81, b"\xff"), 1007),
        ([frame(0x01, b"\xc3"), frame(0x80, b"(")].concat(), 1007),
        (oversized, 1009),
    ] {
        let probe = probe();
        let mut client = connect(&endpoint, &probe, "").await;
        let bytes = [frame(0x81, b"before"), bytes, frame(0x81, b"behind")].concat();
        client.stream.write_all(&bytes).await.unwrap();
        client.hear("before").await;
        client.expect_frame(0x88, u16::to_be_bytes(code)).await;
        probe.expect(&["in before", "terminate protocol_error None", "dropped"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_closed_with_1002() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    client.send_frame(0x8A, b"").await;
    client.hear("pong:").await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    // What is sent does not count.
    probe.raw_handle().push("hello").unwrap();
    client.hear("hello").await;
    let start = tokio::time::Instant::now();
    client.expect_close(1002).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    probe.expect(&["terminate read_timeout None", "dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_callback_is_not_the_clients_silence() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("wait").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    probe.open_gate(1);
    client.hear("waited").await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn no_timeout_is_none() {
    let options = SocketOptions::new().websocket(WebSocketOptions::new().timeout(None));
    let (endpoint, probe) = (endpoint_with(options), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    tokio::time::sleep(Duration::from_secs(1_000_000)).await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_after_the_write_timeout() {
    let options =
        SocketOptions::new().websocket(WebSocketOptions::new().write_timeout(Duration::from_secs(7)));
    let (endpoint, probe) = (endpoint_with(options), probe());
    let mut client = super::app::connect_with(&endpoint, &probe, "", 64).await;
    probe.expect(&["init over websocket"]).await;
    let start = tokio::time::Instant::now();
    probe.raw_handle().push("x".repeat(1000)).unwrap();
    (&mut client.task).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    probe.expect(&["terminate too_slow None", "dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_with_1012_behind_what_is_queued() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    probe.raw_handle().push("last").unwrap();
    let drained = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.shutdown().await }
    });
    client.hear("last").await;
    client.expect_close(1012).await;
    let drained = drained.await.unwrap();
    assert_eq!((drained.closed, drained.remaining), (1, 0));
    probe.expect(&["terminate draining None", "dropped"]).await;
    let request = upgrade_request(&format!("/raw/websocket?probe={}", probe.name));
    assert_eq!(super::app::refusal(&endpoint, request).await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_callback() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("wait").await;
    probe.expect(&["in wait"]).await;
    assert_eq!(endpoint.drain(), 1);
    client.expect_close(1012).await;
    // The callback goes on, and the last one follows; what they send goes nowhere.
    probe.open_gate(1);
    probe.expect(&["terminate draining None", "dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_does_not_end_is_given_up() {
    let options = SocketOptions::new().terminate_timeout(Duration::from_millis(700));
    let (endpoint, one, two) = (endpoint_with(options), probe(), probe());
    let mut client = connect(&endpoint, &one, "").await;
    client.say("wait").await;
    one.expect(&["in wait"]).await;
    endpoint.drain();
    one.expect(&["dropped"]).await;
    let mut client = connect(&endpoint, &two, "terminate=hang").await;
    client.say("stop").await;
    two.expect(&["in stop", "terminate normal None", "dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_last_callback_harms_nobody() {
    let (endpoint, probe, other) = (endpoint(), probe(), probe());
    let mut other_client = connect(&endpoint, &other, "").await;
    let mut client = connect(&endpoint, &probe, "terminate=panic").await;
    client.say("stop").await;
    client.hear("bye").await;
    client.expect_close(1000).await;
    probe.expect(&["in stop", "terminate normal None", "dropped"]).await;
    other_client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_by_id_closes_with_1001() {
    let (endpoint, probe, other) = (endpoint(), probe(), probe());
    let client = connect(&endpoint, &probe, "id=users:1").await;
    let mut other_client = connect(&endpoint, &other, "id=users:2").await;
    endpoint.disconnect("users:1").unwrap();
    client.expect_close(1001).await;
    probe.expect(&["terminate disconnected None"]).await;
    other_client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn a_closing_handshake_takes_two_seconds_at_most() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = super::app::connect_with(&endpoint, &probe, "", 64).await;
    probe.expect(&["init over websocket"]).await;
    probe.raw_handle().push("x".repeat(1000)).unwrap();
    tokio::time::sleep(PATIENCE).await;
    let start = tokio::time::Instant::now();
    endpoint.drain();
    (&mut client.task).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn control_frames_are_never_compressed() {
    let options = SocketOptions::new().websocket(WebSocketOptions::new().compress(true));
    let (endpoint, probe) = (endpoint_with(options), probe());
    let request = upgrade_request(&format!("/raw/websocket?probe={}", probe.name))
        .header(SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate");
    let upgrade = upgrade(&endpoint, request).await;
    let (stream, server) = tokio::io::duplex(1024);
    let mut client = RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) };
    client.say("frames").await;
    assert_eq!(client.recv_frame().await.0, 0xC1);
    assert_eq!(client.recv_frame().await.0, 0xC2);
    client.expect_frame(0x89, "three").await;
    client.expect_frame(0x8A, "four").await;
    assert_eq!(client.recv_frame().await.0, 0xC1);
}
