//! The end of a connection: protocol §8.5, §9.7, §13 and §14.

use std::sync::Arc;

use phoenix_proto::server::{CloseReason, Config, Queues};
use phoenix_proto::{
    Broadcast, DecodeError, EncodeError, Event, Frame, Incoming, Message, Ref, Reply, Serializer, V2,
};

use crate::bench::Bench;

#[test]
fn reasons_have_codes() {
    for (reason, command) in [
        (CloseReason::Disconnected, "close 1001"),
        (CloseReason::Idle, "close 1002"),
        (CloseReason::Internal, "close 1011"),
        (CloseReason::Draining, "close 1012"),
        (CloseReason::TooSlow, "close 1013"),
    ] {
        let mut bench = Bench::joined();
        bench.close(reason);
        bench.commands([command]);
    }
}

#[test]
fn what_cannot_be_decoded_closes_without_an_answer() {
    let mut bench = Bench::joined();
    bench.client(r#"["1","2","room:1","echo"]"#);
    bench.commands(["close 1011"]);
    bench.expect([]);
}

#[test]
fn what_is_queued_is_still_written() {
    let mut bench = Bench::joined();
    bench.push(1, "before");
    bench.client(r#"["1","2","room:1","echo",{}]"#);
    bench.client("broken");
    bench.client(r#"["1","3","room:1","echo",{}]"#);
    bench.push(1, "after");
    bench.commands([r#"message 1: "echo" "2" {}"#, "close 1011"]);
    bench.expect([r#"["1",null,"room:1","before",{}]"#]);
}

#[test]
fn only_the_first_reason_counts() {
    let mut bench = Bench::joined();
    bench.close(CloseReason::Draining);
    bench.close(CloseReason::Disconnected);
    bench.client("broken");
    bench.wait(60_000);
    bench.commands(["close 1012"]);
}

#[test]
fn nothing_comes_after_the_close() {
    // Channel 1 is joined, 2 is being joined, 3 closes, 4 is being replaced.
    let mut bench = Bench::joined();
    for n in [2, 3, 4] {
        bench.client(&format!(r#"["{n}","{n}","room:{n}","phx_join",{{}}]"#));
    }
    bench.commands([r#"join 2: room:2 "2" {}"#, r#"join 3: room:3 "3" {}"#, r#"join 4: room:4 "4" {}"#]);
    bench.accept(3);
    bench.close_channel(3);
    bench.accept(4);
    bench.client(r#"["5","5","room:4","phx_join",{}]"#);
    bench.client(r#"["2","6","room:2","phx_join",{}]"#);
    bench.commands(["kill 4"]);
    while bench.connection.poll_transmit().is_some() {}

    bench.close(CloseReason::Draining);
    bench.commands(["close 1012"]);
    for channel in 1..=4 {
        bench.push(channel, "late");
        bench.accept(channel);
        bench.refuse(channel, "{}");
        bench.close_channel(channel);
        bench.ended(channel);
    }
    bench.client(r#"[null,"7","phoenix","heartbeat",{}]"#);
    bench.client(r#"["8","8","room:8","phx_join",{}]"#);
    bench.client_bytes();
    bench.wait(100_000);
    bench.commands([]);
    bench.expect([]);
    assert!(bench.connection.is_closed());
    assert!(!bench.connection.wants_read());
    assert_eq!(bench.timeout(), None);
}

#[test]
fn queues_are_lent_and_taken_back_with_what_is_in_them() {
    let mut bench = Bench::joined();
    let mut queues = Queues::new();
    bench.push(1, "a");
    assert!(!bench.connection.has_empty_queues());
    bench.connection.swap_queues(&mut queues);
    assert!(bench.connection.has_empty_queues());
    bench.connection.swap_queues(&mut queues);
    bench.push(1, "b");
    bench.expect([r#"["1",null,"room:1","a",{}]"#, r#"["1",null,"room:1","b",{}]"#]);
}

#[test]
fn an_answer_that_cannot_be_encoded_closes_at_once() {
    let mut bench = Bench::new(Config::default(), Arc::new(Picky));
    bench.client(r#"["1","1","room:1","phx_join",{}]"#);
    bench.client(r#"["1","unencodable","room:1","echo",{}]"#);
    bench.client(r#"["2","2","room:1","phx_join",{}]"#);
    bench.commands([r#"join 1: room:1 "1" {}"#]);
    bench.refuse(1, "{}");
    bench.commands(["close 1011"]);
    bench.expect([r#"["1","1","room:1","phx_reply",{"status":"error","response":{}}]"#]);
}

#[test]
fn a_close_that_cannot_be_encoded_closes_at_once() {
    let mut bench = Bench::new(Config::default(), Arc::new(Picky));
    for n in 1..=2 {
        bench.client(&format!(r#"["unencodable","{n}","room:{n}","phx_join",{{}}]"#));
        bench.commands([&*format!(r#"join {n}: room:{n} "unencodable" {{}}"#)]);
        bench.accept(n);
        bench.client(&format!(r#"["1","1","room:{n}","phx_join",{{}}]"#));
        bench.commands([&*format!("kill {n}")]);
    }
    while bench.connection.poll_transmit().is_some() {}
    bench.wait(5000);
    bench.commands(["abandon 1", "close 1011"]);
}

/// V2, but it cannot answer a ref nor close a join_ref that is called "unencodable".
#[derive(Debug)]
struct Picky;

const REFUSED: EncodeError = EncodeError::Custom("refused by the test");

impl Serializer for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn decode(&self, incoming: Incoming) -> Result<Message, DecodeError> {
        V2.decode(incoming)
    }

    fn encode_push(&self, message: &Message) -> Result<Frame, EncodeError> {
        let refused = message.event == Event::CLOSE && message.join_ref == Some(Ref::string("unencodable"));
        if refused { Err(REFUSED) } else { V2.encode_push(message) }
    }

    fn encode_reply(&self, reply: &Reply) -> Result<Frame, EncodeError> {
        let refused = reply.reference == Some(Ref::string("unencodable"));
        if refused { Err(REFUSED) } else { V2.encode_reply(reply) }
    }

    fn encode_broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        V2.encode_broadcast(broadcast)
    }
}
