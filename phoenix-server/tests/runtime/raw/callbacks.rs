//! What callbacks are told, and what becomes of their results.

use std::time::Duration;

use phoenix_server::{
    ConnectInfo, Crash, Endpoint, Frame, Incoming, QueueLimits, RawContext, RawFlow, RawSocket, Refused,
    SendError, SlowConsumer, SocketOptions,
};
use tokio::io::AsyncWriteExt;

use super::app::{Info, connect, connect_with, endpoint, endpoint_with};
use crate::support::{PATIENCE, RawClient, frame, probe, upgrade, upgrade_request};

#[tokio::test(start_paused = true)]
async fn c4_init_is_the_first_callback_and_may_send() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect_with(&endpoint, &probe, "init=push", 1024).await;
    client.say("first").await;
    client.hear("hello").await;
    client.hear("first").await;
    probe.expect(&["init over websocket", "in first"]).await;
}

#[tokio::test(start_paused = true)]
async fn c4_what_arrives_waits_for_init() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "init=wait").await;
    client.say("early").await;
    probe.raw_handle().send(Info::Push("info".to_owned())).unwrap();
    probe.assert_silent().await;
    probe.open_gate(1);
    client.hear("hello").await;
    for _ in 0..2 {
        let (first, _) = client.recv_frame().await;
        assert_eq!(first, 0x81);
    }
}

#[tokio::test(start_paused = true)]
async fn c5_messages_have_their_opcode_and_are_whole() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("héllo").await;
    client.hear("héllo").await;
    client.say("").await;
    client.hear("").await;
    client.send_frame(0x82, &[0, 159, 255]).await;
    client.expect_frame(0x82, [0, 159, 255]).await;
    client.send_frame(0x02, &[1]).await;
    client.send_frame(0x00, &[2]).await;
    client.send_frame(0x80, &[3]).await;
    client.expect_frame(0x82, [1, 2, 3]).await;
    let long = "x".repeat(200_000);
    client.say(&long).await;
    client.hear(&long).await;
}

#[tokio::test(start_paused = true)]
async fn c6_g8_control_frames_are_told_and_pings_answered_first() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    for payload in ["", "123", &"x".repeat(125)] {
        client.send_frame(0x89, payload.as_bytes()).await;
        client.expect_frame(0x8A, payload).await;
        client.hear(&format!("ping:{payload}")).await;
        client.send_frame(0x8A, payload.as_bytes()).await;
        client.hear(&format!("pong:{payload}")).await;
    }
}

/// Does nothing but what it has to.
struct EchoSocket;

impl RawSocket for EchoSocket {
    type Info = ();

    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    async fn handle_in(&mut self, message: Incoming, cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        cx.handle().send(())?;
        Ok(RawFlow::reply(message))
    }
}

#[tokio::test(start_paused = true)]
async fn c6_callbacks_that_are_left_out_ignore() {
    let endpoint =
        Endpoint::builder().raw_socket::<EchoSocket>("/echo", SocketOptions::new()).build().unwrap();
    let upgrade = upgrade(&endpoint, upgrade_request("/echo/websocket")).await;
    let (stream, server) = tokio::io::duplex(1024);
    let mut client = RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) };
    client.send_frame(0x8A, b"unsolicited").await;
    client.send_frame(0x89, b"ping").await;
    client.expect_frame(0x8A, "ping").await;
    client.expect_alive().await;
    client.expect_alive().await;
    client.send_frame(0x88, b"").await;
    client.expect_close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn c7_infos_come_from_anywhere() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("later on").await;
    client.hear("on").await;
    let handle = probe.raw_handle();
    tokio::spawn(async move { handle.send(Info::Push("from a task".to_owned())) }).await.unwrap().unwrap();
    client.hear("from a task").await;
    client.task.abort();
    let _ = (&mut client.task).await;
    assert_eq!(probe.raw_handle().send(Info::Wait), Err(SendError::Gone));
    assert_eq!(probe.raw_handle().push("too late"), Err(SendError::Gone));
}

#[tokio::test(start_paused = true)]
async fn c7_broadcasts_come_as_infos_while_subscribed() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("subscribe news:1").await;
    client.hear("subscribed").await;
    endpoint.broadcast("news:1", "hot", serde_json::json!({})).unwrap();
    client.hear(r#"news:1: "hot""#).await;
    client.say("broadcast news:1").await;
    client.hear("sent").await;
    client.hear(r#"news:1: "news""#).await;
    client.say("unsubscribe news:1").await;
    client.hear("unsubscribed").await;
    assert_eq!(endpoint.pubsub().local_subscribers("news:1"), 0);
    client.say("subscribe news:2").await;
    client.hear("subscribed").await;
    client.send_frame(0x88, b"").await;
    client.expect_close(1000).await;
    tokio::time::sleep(PATIENCE).await;
    assert_eq!(endpoint.pubsub().local_subscribers("news:2"), 0);
}

#[tokio::test(start_paused = true)]
async fn c7_infos_are_bounded() {
    let (endpoint, probe) =
        (endpoint_with(SocketOptions::new().queue(QueueLimits::new().mailbox(2))), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let handle = probe.raw_handle();
    handle.send(Info::Wait).unwrap();
    probe.expect(&["info Wait"]).await;
    for text in ["one", "two"] {
        handle.send(Info::Push(text.to_owned())).unwrap();
    }
    assert_eq!(handle.send(Info::Push("three".to_owned())), Err(SendError::MailboxFull));
    probe.open_gate(1);
    for text in ["waited", "one", "two"] {
        client.hear(text).await;
    }
    handle.send(Info::Push("four".to_owned())).unwrap();
    client.hear("four").await;
}

#[tokio::test(start_paused = true)]
async fn c9_to_continue_sends_nothing() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("silence").await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn c10_c11_c14_frames_of_all_kinds_are_sent_in_order() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("frames").await;
    client.hear("one").await;
    client.expect_frame(0x82, [2]).await;
    client.expect_frame(0x89, "three").await;
    client.expect_frame(0x8A, "four").await;
    client.hear("five").await;
    client.say("push").await;
    client.hear("pushed").await;
    client.hear("replied").await;
}

#[tokio::test(start_paused = true)]
async fn c14_a_socket_may_ping_and_hears_the_pong() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    for payload in ["", "123"] {
        client.say(&format!("ping {payload}")).await;
        client.expect_frame(0x89, payload).await;
        client.send_frame(0x8A, payload.as_bytes()).await;
        client.hear(&format!("pong:{payload}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_for_many_is_encoded_once() {
    let (endpoint, probe, other) = (endpoint(), probe(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let mut other_client = connect(&endpoint, &other, "").await;
    let frame = Frame::from("for all");
    for handle in [probe.raw_handle(), other.raw_handle()] {
        handle.push(frame.clone()).unwrap();
    }
    client.hear("for all").await;
    other_client.hear("for all").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_disconnected_or_misses_frames() {
    for (policy, code) in [(SlowConsumer::Disconnect, Some(1013)), (SlowConsumer::Drop, None)] {
        let queue = QueueLimits::new().frames(10).policy(policy);
        let (endpoint, probe) = (endpoint_with(SocketOptions::new().queue(queue)), probe());
        let mut client = connect_with(&endpoint, &probe, "", 16).await;
        probe.expect(&["init over websocket"]).await;
        for number in 0..30 {
            probe.raw_handle().send(Info::Push(format!("message {number}"))).unwrap();
        }
        let seen = probe.next().await;
        assert_eq!(seen, r#"info Push("message 0")"#);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(endpoint.dropped() > 0);
        for number in 0..10 {
            client.hear(&format!("message {number}")).await;
        }
        match code {
            Some(code) => client.expect_close(code).await,
            None => client.expect_alive().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_with_the_upgrade_request_is_read() {
    let (endpoint, probe) = (endpoint(), probe());
    let target = format!("/raw/websocket?probe={}", probe.name);
    let upgrade = upgrade(&endpoint, upgrade_request(&target)).await;
    let (stream, server) = tokio::io::duplex(1024);
    let read_ahead = [frame(0x89, b"!"), frame(0x81, b"early")].concat();
    let mut client = RawClient { stream, task: tokio::spawn(upgrade.run(server, &read_ahead)) };
    client.expect_frame(0x8A, "!").await;
    client.hear("ping:!").await;
    client.hear("early").await;
    client.stream.shutdown().await.unwrap();
}
