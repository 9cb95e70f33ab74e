//! The table of protocol §9.2 and the references of §6.

use phoenix_proto::server::Notice;

use crate::bench::Bench;

#[test]
fn row_1_heartbeat_in_all_shapes() {
    let mut bench = Bench::v2();
    for (heartbeat, answer) in [
        (
            r#"[null,"5","phoenix","heartbeat",{}]"#,
            r#"[null,"5","phoenix","phx_reply",{"status":"ok","response":{}}]"#,
        ),
        (
            r#"["9",5,"phoenix","heartbeat",null]"#,
            r#"[null,5,"phoenix","phx_reply",{"status":"ok","response":{}}]"#,
        ),
        (
            r#"[9,null,"phoenix","heartbeat",[1]]"#,
            r#"[null,null,"phoenix","phx_reply",{"status":"ok","response":{}}]"#,
        ),
    ] {
        bench.client(heartbeat);
        bench.expect([answer]);
    }
    bench.client_binary(b"\0\0\x01\x07\x095phoenixheartbeat");
    bench.expect([r#"[null,"5","phoenix","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.notices([]);
}

#[test]
fn row_1_in_v1() {
    let mut bench = Bench::v1();
    bench.client(r#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"5"}"#);
    bench.expect([
        r#"{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"5"}"#,
    ]);
}

#[test]
fn other_events_on_the_topic_phoenix_are_like_on_any_other() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","phoenix","phx_join",{}]"#);
    bench.client(r#"["1","2","phoenix","other",{}]"#);
    bench.client(r#"["1","3","phoenix","phx_leave",{}]"#);
    bench.client(r#"["1","4","room:1","heartbeat",{}]"#);
    bench.expect([
        r#"[null,"1","phoenix","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        r#"[null,"2","phoenix","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        r#"["1","3","phoenix","phx_reply",{"status":"ok","response":{}}]"#,
        r#"[null,"4","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
    ]);
}

#[test]
fn rows_4_and_6_hand_messages_to_the_channel() {
    let mut bench = Bench::joined();
    bench.client(r#"["1","2","room:1","echo",{"a":1}]"#);
    bench.client(r#"[null,"3","room:1","echo",[2]]"#);
    bench.client(r#"["1",null,"room:1",5,null]"#);
    bench.client_binary(b"\0\x01\x01\x06\x0414room:1blob\x01\x02");
    bench.client(r#"["1",6,"room:1","phx_leave",{}]"#);
    bench.commands([
        r#"message 1: "echo" "2" {"a":1}"#,
        r#"message 1: "echo" "3" [2]"#,
        "message 1: 5 null null",
        r#"message 1: "blob" "4" hex:0102"#,
        "leave 1: 6",
    ]);
}

#[test]
fn reserved_events_of_a_client_are_ordinary_ones() {
    let mut bench = Bench::joined();
    for event in ["phx_close", "phx_error", "phx_reply", "phx_drain", "presence_diff", ""] {
        bench.client(&format!(r#"["1","2","room:1","{event}",{{}}]"#));
        bench.commands([&*format!(r#"message 1: "{event}" "2" {{}}"#)]);
    }
}

#[test]
fn rows_5_and_7_drop_what_is_stale() {
    let mut bench = Bench::joined();
    for join_ref in ["\"0\"", "\"2\"", "1", "true", "\"\"", "[\"1\"]"] {
        bench.client(&format!(r#"[{join_ref},"2","room:1","echo",{{}}]"#));
        bench.client(&format!(r#"[{join_ref},"3","room:1","phx_leave",{{}}]"#));
        bench.commands([]);
        bench.expect([]);
        bench.notices([Notice::Stale("room:1".into()), Notice::Stale("room:1".into())]);
    }
}

#[test]
fn row_8_leaving_what_is_not_joined_is_fine() {
    let mut bench = Bench::v2();
    bench.client(r#"["7","8","room:1","phx_leave",{}]"#);
    bench.client(r#"[null,null,"nosuch","phx_leave",{}]"#);
    bench.client(r#"[1,2,5,"phx_leave",{}]"#);
    bench.expect([
        r#"["7","8","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"[null,null,"nosuch","phx_reply",{"status":"ok","response":{}}]"#,
        r#"[1,2,5,"phx_reply",{"status":"ok","response":{}}]"#,
    ]);
    bench.notices([]);
}

#[test]
fn row_9_what_is_not_joined_is_unmatched() {
    let mut bench = Bench::v2();
    for (sent, reference, topic) in [
        (r#"["7","8","room:1","echo",{}]"#, "\"8\"", "\"room:1\""),
        (r#"["7",8,"nosuch","echo",{}]"#, "8", "\"nosuch\""),
        (r#"["7",null,"nosuch","phx_join",{}]"#, "null", "\"nosuch\""),
        (r#"["7","8",5,"echo",{}]"#, "\"8\"", "5"),
        (r#"["7","8",null,"phx_join",{}]"#, "\"8\"", "null"),
        (r#"["7","8",{"a":1},null,{}]"#, "\"8\"", r#"{"a":1}"#),
    ] {
        bench.client(sent);
        bench.expect([&*format!(
            r#"[null,{reference},{topic},"phx_reply",{{"status":"error","response":{{"reason":"unmatched topic"}}}}]"#
        )]);
    }
    bench.notices(
        ["room:1", "nosuch", "nosuch", "5", "null", r#"{"a":1}"#]
            .map(|topic| Notice::Unmatched(topic.into())),
    );
}

#[test]
fn a_join_without_join_ref_has_two_references() {
    let mut bench = Bench::v2();
    bench.client(r#"[null,"200","room:1","phx_join",{}]"#);
    bench.commands([r#"join 1: room:1 "200" {}"#]);
    bench.accept(1);
    bench.expect([r#"[null,"200","room:1","phx_reply",{"status":"ok","response":{}}]"#]);

    // The channel speaks with the ref of the join, but a client that uses it is stale.
    bench.push(1, "hello");
    bench.expect([r#"["200",null,"room:1","hello",{}]"#]);
    bench.client(r#"["200","201","room:1","echo",{}]"#);
    bench.commands([]);
    bench.client(r#"[null,"202","room:1","echo",{}]"#);
    bench.commands([r#"message 1: "echo" "202" {}"#]);
    bench.reply(1, "202", "{}");
    bench.expect([r#"["200","202","room:1","phx_reply",{"status":"ok","response":{}}]"#]);

    bench.close_channel(1);
    bench.ended(1);
    bench.expect([r#"[null,null,"room:1","phx_close",{}]"#]);
}

#[test]
fn both_references_of_a_join_may_be_null() {
    let mut bench = Bench::v2();
    bench.client(r#"[null,null,"room:1","phx_join",{}]"#);
    bench.commands(["join 1: room:1 null {}"]);
    bench.accept(1);
    bench.ended(1);
    bench.expect([
        r#"[null,null,"room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"[null,null,"room:1","phx_error",{"reason":"channel_crash"}]"#,
    ]);
}

#[test]
fn join_ref_and_ref_of_a_join_are_independent() {
    let mut bench = Bench::v2();
    bench.client(r#"["jr","r","room:1","phx_join",{}]"#);
    bench.commands([r#"join 1: room:1 "jr" {}"#]);
    bench.accept(1);
    bench.close_channel(1);
    bench.expect([
        r#"["jr","r","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["jr","jr","room:1","phx_close",{}]"#,
    ]);
}

#[test]
fn a_join_ref_is_compared_by_type_and_value() {
    let mut bench = Bench::v2();
    bench.client(r#"[7,7,"room:1","phx_join",{}]"#);
    bench.commands(["join 1: room:1 7 {}"]);
    bench.accept(1);
    bench.expect([r#"[7,7,"room:1","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.client(r#"["7","8","room:1","echo",{}]"#);
    bench.client(r#"[7.0,"9","room:1","echo",{}]"#);
    bench.commands([]);
    bench.client(r#"[7,"10","room:1","echo",{}]"#);
    bench.commands([r#"message 1: "echo" "10" {}"#]);
}

#[test]
fn v1_honours_a_join_ref_but_never_sends_it() {
    let mut bench = Bench::v1();
    bench.client(r#"{"topic":"room:1","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}"#);
    bench.commands([r#"join 1: room:1 "1" {}"#]);
    bench.accept(1);
    bench.client(r#"{"topic":"room:1","event":"echo","payload":{},"ref":"2","join_ref":"0"}"#);
    bench.client(r#"{"topic":"room:1","event":"echo","payload":{},"ref":"3"}"#);
    bench.commands([r#"message 1: "echo" "3" {}"#]);
    bench.ended(1);
    bench.expect([
        r#"{"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}"#,
        r#"{"topic":"room:1","event":"phx_error","payload":{"reason":"channel_crash"},"ref":"1"}"#,
    ]);
}

#[test]
fn a_binary_push_without_join_ref_is_not_stale() {
    let mut bench = Bench::joined();
    bench.client_binary(b"\0\0\x01\x06\x044room:1blob\x07");
    bench.commands([r#"message 1: "blob" "4" hex:07"#]);
    bench.client_binary(b"\0\x01\x01\x06\x0404room:1blob\x07");
    bench.commands([]);
}

#[test]
fn a_ref_that_is_not_utf8_crashes_the_joined_channel_only() {
    let mut bench = Bench::joined();
    bench.client_binary(b"\0\x01\x01\x06\x011\xffroom:1e");
    bench.commands(["kill 1"]);
    bench.ended(1);
    bench.expect([r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#]);
}

#[test]
fn a_stale_message_whose_ref_is_not_utf8_is_dropped() {
    let mut bench = Bench::joined();
    bench.client_binary(b"\0\x01\x01\x06\x010\xffroom:1e");
    bench.client_binary(b"\0\x01\x01\x06\x01\xff4room:1e");
    bench.commands([]);
    assert!(!bench.connection.is_closed());
}

#[test]
fn a_ref_that_is_not_utf8_does_not_disturb_a_join() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:1","phx_join",{}]"#);
    bench.client_binary(b"\0\x01\x01\x06\x011\xffroom:1e");
    bench.commands([r#"join 1: room:1 "1" {}"#]);
    bench.accept(1);
    bench.expect([r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#]);
}

#[test]
fn an_event_that_is_not_utf8_is_one_that_nobody_knows() {
    let mut bench = Bench::joined();
    bench.client_binary(b"\0\x01\x01\x06\x0114room:1\xff");
    bench.commands(["message 1: \"\u{fffd}\" \"4\" hex:"]);
    bench.client_binary(b"\0\x01\x01\x06\x0114room:2\xff");
    bench.expect([
        r#"[null,"4","room:2","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
    ]);
}

#[test]
fn a_ref_or_topic_that_is_not_utf8_for_no_channel_closes() {
    for data in [&b"\0\x01\x01\x06\x011\xffroom:2e"[..], b"\0\x01\x01\x01\x0114\xffe"] {
        let mut bench = Bench::joined();
        bench.client_binary(data);
        bench.commands(["close 1011"]);
    }
}
