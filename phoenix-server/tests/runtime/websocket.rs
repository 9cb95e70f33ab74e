//! The WebSocket as a client on a stream of bytes has it: who closes, when, and with which code.

use std::time::Duration;

use http::StatusCode;
use phoenix_server::{Answer, HttpRequest};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{connect_websocket, endpoint, frame, probe, upgrade_request, websocket};

const HEARTBEAT: &[u8] = br#"[null,"1","phoenix","heartbeat",{}]"#;

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_between_the_fragments_of_a_message() {
    let endpoint = endpoint();
    let mut client = websocket(&endpoint, &probe(), "").await;
    client.send_frame(0x01, &HEARTBEAT[..9]).await;
    client.send_frame(0x89, b"are you there").await;
    client.send_frame(0x80, &HEARTBEAT[9..]).await;
    assert_eq!(client.recv_frame().await, (0x8A, b"are you there".to_vec()));
    let reply = json!([null, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]);
    assert_eq!(client.recv().await, reply);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_many_reads_is_read_to_its_end() {
    const LENGTH: usize = 3_000_000;
    let endpoint = endpoint();
    let mut client = connect_websocket(&endpoint, &probe(), "", LENGTH * 2).await;
    let padding = "x".repeat(LENGTH);
    client.send(&json!([null, "1", "phoenix", "heartbeat", padding])).await;
    let reply = json!([null, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]);
    assert_eq!(client.recv().await, reply);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_client_is_answered_with_1000() {
    let endpoint = endpoint();
    let mut client = websocket(&endpoint, &probe(), "").await;
    client.send_frame(0x88, &3500_u16.to_be_bytes()).await;
    client.expect_close(1000).await;
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_is_closed_with_1002_after_the_timeout() {
    let endpoint = endpoint();
    let start = tokio::time::Instant::now();
    let mut client = websocket(&endpoint, &probe(), "").await;
    tokio::time::advance(Duration::from_secs(59)).await;
    client.send_frame(0x8A, b"").await;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(endpoint.connections(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    client.expect_close(1002).await;
    assert!(start.elapsed() >= Duration::from_secs(119));
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_socket_is_closed_with_1001_and_no_other() {
    let endpoint = endpoint();
    let one = websocket(&endpoint, &probe(), "id=users:1").await;
    let mut other = websocket(&endpoint, &probe(), "id=users:2").await;
    endpoint.disconnect("users:1").unwrap();
    one.expect_close(1001).await;
    other.send_frame(0x81, HEARTBEAT).await;
    assert_eq!(other.recv_frame().await.0, 0x81);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_closes_that_connection_with_1011() {
    let endpoint = endpoint();
    let mut other = websocket(&endpoint, &probe(), "").await;
    for garbage in [&b"{}"[..], b"", b"[1,2,3,4]", b"[1,2,3,4,"] {
        let mut client = websocket(&endpoint, &probe(), "").await;
        client.send_frame(0x81, garbage).await;
        client.expect_close(1011).await;
    }
    other.send_frame(0x81, HEARTBEAT).await;
    assert_eq!(other.recv_frame().await.0, 0x81);
}

#[tokio::test(start_paused = true)]
async fn broken_frames_have_their_close_codes() {
    let endpoint = endpoint();
    let mut oversized = vec![0x81, 0xFF];
    oversized.extend(20_000_000_u64.to_be_bytes());
    oversized.extend([0; 4]);
    for (bytes, code) in [
        (frame(0x83, b""), 1002),
        (vec![0x81, 0x01, b'a'], 1002),
        (frame(0x81, b"\xff"), 1007),
        (oversized, 1009),
    ] {
        let mut client = websocket(&endpoint, &probe(), "").await;
        client.stream.write_all(&bytes).await.unwrap();
        client.expect_close(code).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_everybody_with_1012_and_refuses_new_connections() {
    let endpoint = endpoint();
    let clients = [websocket(&endpoint, &probe(), "").await, websocket(&endpoint, &probe(), "").await];
    let shutdown = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.shutdown().await }
    });
    for client in clients {
        client.expect_close(1012).await;
    }
    let drained = shutdown.await.unwrap();
    assert_eq!((drained.closed, drained.remaining), (2, 0));
    let target = format!("/socket/websocket?vsn=2.0.0&probe={}", probe().name);
    let request = HttpRequest::new(upgrade_request(&target).body(()).unwrap().into_parts().0);
    match endpoint.handle(request).await {
        Answer::Response(response) => assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_cut_and_disturbs_nobody() {
    let endpoint = endpoint();
    let stuck = connect_websocket(&endpoint, &probe(), "", 64).await;
    let mut other = websocket(&endpoint, &probe(), "").await;
    let (mut read, mut write) = tokio::io::split(stuck.stream);
    // The server stops to read when it cannot write, so that this ends only with the connection.
    let flood = tokio::spawn(async move { while write.write_all(&frame(0x81, HEARTBEAT)).await.is_ok() {} });
    other.send_frame(0x81, HEARTBEAT).await;
    assert_eq!(other.recv_frame().await.0, 0x81);
    for _ in 0..8 {
        tokio::time::advance(Duration::from_secs(10)).await;
        other.send_frame(0x81, HEARTBEAT).await;
        assert_eq!(other.recv_frame().await.0, 0x81);
    }
    stuck.task.await.unwrap();
    flood.await.unwrap();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut read, &mut rest).await.unwrap();
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let endpoint = endpoint();
    let client = websocket(&endpoint, &probe(), "id=users:9").await;
    assert_eq!(endpoint.pubsub().local_subscribers("users:9"), 1);
    drop(client.stream);
    client.task.await.unwrap();
    assert_eq!(endpoint.connections(), 0);
    assert_eq!(endpoint.pubsub().local_subscribers("users:9"), 0);
}
