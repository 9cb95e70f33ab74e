//! One callback after the other, in the order in which things arrived.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::app::{Info, connect, endpoint};
use crate::support::{frame, probe};

#[tokio::test(start_paused = true)]
async fn what_is_read_together_is_answered_in_order_pongs_included() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let bytes =
        [frame(0x81, b"one"), frame(0x89, b"two"), frame(0x81, b"three"), frame(0x8A, b"four")].concat();
    client.stream.write_all(&bytes).await.unwrap();
    client.hear("one").await;
    client.expect_frame(0x8A, "two").await;
    client.hear("ping:two").await;
    client.hear("three").await;
    client.hear("pong:four").await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_between_the_fragments_of_a_message_comes_first() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    // Cut within a character.
    client.send_frame(0x01, &[b'h', 0xC3]).await;
    client.send_frame(0x89, b"ping").await;
    client.send_frame(0x80, &[0xA9]).await;
    client.expect_frame(0x8A, "ping").await;
    client.hear("ping:ping").await;
    client.hear("hé").await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_waits_holds_up_its_own_connection_only() {
    let (endpoint, probe, other) = (endpoint(), probe(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let mut other_client = connect(&endpoint, &other, "").await;
    client.say("wait").await;
    probe.expect(&["in wait"]).await;
    client.say("next").await;
    probe.raw_handle().send(Info::Push("info".to_owned())).unwrap();
    probe.assert_silent().await;
    other_client.expect_alive().await;
    probe.open_gate(1);
    client.hear("waited").await;
    // The info was there before anything more was read.
    client.hear("info").await;
    client.hear("next").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_a_message_is_handled() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    client.say("wait").await;
    probe.expect(&["in wait"]).await;
    // More than the stream between the two has room for.
    let flood = vec![b'x'; 3 << 20];
    let unread = tokio::time::timeout(Duration::from_secs(5), client.send_frame(0x81, &flood)).await;
    assert!(unread.is_err());
}

#[tokio::test(start_paused = true)]
async fn messages_pass_an_info_that_waits_only_behind_it() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    probe.raw_handle().send(Info::Wait).unwrap();
    probe.expect(&["info Wait"]).await;
    client.say("message").await;
    probe.assert_silent().await;
    probe.open_gate(1);
    client.hear("waited").await;
    client.hear("message").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_ahead_of_a_close_is_handled_first() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let bytes = [frame(0x81, b"wait"), frame(0x81, b"last"), frame(0x88, &4000_u16.to_be_bytes())].concat();
    client.stream.write_all(&bytes).await.unwrap();
    probe.expect(&["in wait"]).await;
    probe.assert_silent().await;
    probe.open_gate(1);
    client.hear("waited").await;
    client.hear("last").await;
    client.expect_close(1000).await;
    probe.expect(&["in last", "terminate local_closed Some(4000)", "dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn endless_infos_do_not_keep_messages_away() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "").await;
    let handle = probe.raw_handle();
    let flood = tokio::spawn(async move {
        while handle.send(Info::Push("x".to_owned())).is_ok() {
            tokio::task::yield_now().await;
        }
    });
    client.say("message").await;
    while client.recv_frame().await.1 != b"message" {}
    client.task.abort();
    flood.await.unwrap();
}
