//! One callback after the other, in the order in which things arrived.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
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

/// What a client sends.
#[derive(Debug, Clone)]
enum Sent {
    /// A text in two frames with a ping in between.
    Split(String, Vec<u8>),
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let control = || vec(any::<u8>(), 0..4);
    prop_oneof![
        ("[a-zé]{0,9}", control()).prop_map(|(text, ping)| Sent::Split(text, ping)),
        "[a-zé]{0,200}".prop_map(Sent::Text),
        vec(any::<u8>(), 0..300).prop_map(Sent::Binary),
        control().prop_map(Sent::Ping),
        control().prop_map(Sent::Pong),
    ]
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Split(text, ping) => {
                let text = format!("say {text}");
                let (start, end) = text.as_bytes().split_at(text.len() / 2);
                [frame(0x01, start), frame(0x89, ping), frame(0x80, end)].concat()
            }
            Self::Text(text) => frame(0x81, format!("say {text}").as_bytes()),
            Self::Binary(bytes) => frame(0x82, bytes),
            Self::Ping(payload) => frame(0x89, payload),
            Self::Pong(payload) => frame(0x8A, payload),
        }
    }

    fn answers(&self) -> Vec<(u8, Vec<u8>)> {
        let told = |name: &str, payload: &[u8]| {
            (0x81, format!("{name}:{}", String::from_utf8_lossy(payload)).into_bytes())
        };
        let echo = |text: &str| (0x81, format!("say {text}").into_bytes());
        match self {
            Self::Split(text, ping) => vec![(0x8A, ping.clone()), told("ping", ping), echo(text)],
            Self::Text(text) => vec![echo(text)],
            Self::Binary(bytes) => vec![(0x82, bytes.clone())],
            Self::Ping(payload) => vec![(0x8A, payload.clone()), told("ping", payload)],
            Self::Pong(payload) => vec![told("pong", payload)],
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_frames_are_cut_they_are_answered_in_order(
        sent in vec(sent(), 0..12),
        cuts in vec(1..60_usize, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (endpoint, probe) = (endpoint(), probe());
            let mut client = connect(&endpoint, &probe, "").await;
            let bytes: Vec<u8> = sent.iter().flat_map(Sent::bytes).collect();
            let mut rest = &bytes[..];
            for cut in cuts.into_iter().cycle() {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                client.stream.write_all(now).await.unwrap();
                tokio::task::yield_now().await;
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            for answer in sent.iter().flat_map(Sent::answers) {
                assert_eq!(client.recv_frame().await, answer);
            }
            client.expect_alive().await;
        });
    }
}
