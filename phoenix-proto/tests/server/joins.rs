//! Protocol §9.5: every outcome of a join, and what waits for it (§11).

use bytes::Bytes;

use crate::bench::{Bench, json};

#[test]
fn accepted_with_and_without_a_response() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:a","phx_join",{"user":"ann"}]"#);
    bench.commands([r#"join 1: room:a "1" {"user":"ann"}"#]);
    bench.accept(1);
    bench.expect([r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.client(r#"["2","2","room:b","phx_join",null]"#);
    bench.commands([r#"join 2: room:b "2" null"#]);
    bench.accept_with(2, json("[1,2,3]"));
    bench.expect([r#"["2","2","room:b","phx_reply",{"status":"ok","response":[1,2,3]}]"#]);
    assert_eq!(bench.connection.topics(), 2);
}

#[test]
fn a_response_may_be_binary() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:a","phx_join",{}]"#);
    bench.commands([r#"join 1: room:a "1" {}"#]);
    bench.accept_with(1, Bytes::from_static(&[1, 2, 3]));
    bench.expect(["hex:01010106023131726f6f6d3a616f6b010203"]);
}

#[test]
fn a_binary_join_is_a_join() {
    let mut bench = Bench::v2();
    bench.client_binary(b"\0\x01\x01\x06\x0811room:aphx_join\x09");
    bench.commands([r#"join 1: room:a "1" hex:09"#]);
    bench.join_crashed(1);
    bench.expect([
        r#"["1","1","room:a","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]"#,
    ]);
}

#[test]
fn a_response_that_cannot_be_encoded_closes_the_connection() {
    for refuse in [false, true] {
        let mut bench = Bench::v1();
        bench.client(r#"{"topic":"room:a","event":"phx_join","payload":{},"ref":"1"}"#);
        bench.client(r#"{"topic":"room:a","event":"echo","payload":{},"ref":"2"}"#);
        bench.commands([r#"join 1: room:a "1" {}"#]);
        if refuse {
            bench.connection.refuse(bench.id(1), Bytes::new().into(), crate::bench::start());
        } else {
            bench.accept_with(1, Bytes::new());
        }
        bench.commands(["close 1011"]);
        bench.expect([]);
    }
}

#[test]
fn refused() {
    for response in [r#"{"reason":"unauthorized"}"#, "{}", "\"nope\"", "null"] {
        let mut bench = Bench::v2();
        bench.client(r#"["1","1","room:a","phx_join",{}]"#);
        bench.commands([r#"join 1: room:a "1" {}"#]);
        bench.refuse(1, response);
        bench.expect([&*format!(
            r#"["1","1","room:a","phx_reply",{{"status":"error","response":{response}}}]"#
        )]);
        assert_eq!(bench.connection.topics(), 0);

        // Nothing is left of it: no phx_close, no phx_error, nothing it still says.
        bench.push(1, "late");
        bench.close_channel(1);
        bench.ended(1);
        bench.expect([]);
        bench.client(r#"["1","2","room:a","echo",{}]"#);
        bench.expect([
            r#"[null,"2","room:a","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        ]);
    }
}

#[test]
fn crashed_in_either_way() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:a","phx_join",{}]"#);
    bench.client(r#"["2","2","room:b","phx_join",{}]"#);
    bench.commands([r#"join 1: room:a "1" {}"#, r#"join 2: room:b "2" {}"#]);
    bench.join_crashed(1);
    bench.ended(2);
    bench.expect([
        r#"["1","1","room:a","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]"#,
        r#"["2","2","room:b","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]"#,
    ]);
    assert_eq!(bench.connection.topics(), 0);
}

#[test]
fn the_first_route_that_matches_is_named() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","exact","phx_join",{}]"#);
    bench.client(r#"["2","2","room:","phx_join",{}]"#);
    bench.client(r#"["3","3","room:a:b*c","phx_join",{}]"#);
    bench.commands([r#"join 1: exact "1" {}"#, r#"join 2: room: "2" {}"#, r#"join 3: room:a:b*c "3" {}"#]);
    assert_eq!([1, 2, 3].map(|channel| bench.join_request(channel).route.index()), [1, 0, 0]);
    for topic in ["exact:more", "room", "Room:1", ""] {
        bench.client(&format!(r#"["4","4","{topic}","phx_join",{{}}]"#));
        bench.expect([&*format!(
            r#"[null,"4","{topic}","phx_reply",{{"status":"error","response":{{"reason":"unmatched topic"}}}}]"#
        )]);
    }
}

#[test]
fn a_slow_join_holds_up_nothing_but_its_topic() {
    let mut bench = Bench::joined();
    bench.client(r#"["2","2","room:slow","phx_join",{}]"#);
    bench.client(r#"["2","3","room:slow","echo",{}]"#);
    bench.client(r#"["0","4","room:slow","echo",{}]"#);
    bench.client(r#"["1","5","room:1","echo",{}]"#);
    bench.client(r#"[null,"6","phoenix","heartbeat",{}]"#);
    bench.client(r#"["2","7","room:slow","phx_leave",{}]"#);
    bench.commands([r#"join 2: room:slow "2" {}"#, r#"message 1: "echo" "5" {}"#]);
    bench.expect([r#"[null,"6","phoenix","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.push(1, "meanwhile");
    bench.expect([r#"["1",null,"room:1","meanwhile",{}]"#]);

    bench.accept(2);
    bench.expect([r#"["2","2","room:slow","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.commands([r#"message 2: "echo" "3" {}"#, r#"leave 2: "7""#]);
}

#[test]
fn joins_of_different_topics_finish_in_any_order() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:a","phx_join",{}]"#);
    bench.client(r#"["2","2","room:b","phx_join",{}]"#);
    bench.commands([r#"join 1: room:a "1" {}"#, r#"join 2: room:b "2" {}"#]);
    bench.accept(2);
    bench.accept(1);
    bench.expect([
        r#"["2","2","room:b","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#,
    ]);
}

#[test]
fn early_broadcasts_wait_behind_the_reply() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:a","phx_join",{}]"#);
    bench.commands([r#"join 1: room:a "1" {}"#]);
    bench.broadcast(1, "early");
    bench.push(1, "also_early");
    bench.expect([]);
    bench.accept(1);
    bench.push(1, "joined");
    bench.expect([
        r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#,
        r#"[null,null,"room:a","early",{}]"#,
        r#"["1",null,"room:a","also_early",{}]"#,
        r#"["1",null,"room:a","joined",{}]"#,
    ]);
}

#[test]
fn what_waited_for_a_refused_join_is_unmatched() {
    let mut bench = Bench::v2();
    bench.client(r#"["1","1","room:a","phx_join",{}]"#);
    bench.client(r#"["1","2","room:a","echo",{}]"#);
    bench.client(r#"["1","3","room:a","phx_leave",{}]"#);
    bench.client(r#"["4","4","room:a","phx_join",{}]"#);
    bench.client(r#"["4","5","room:a","echo",{}]"#);
    bench.commands([r#"join 1: room:a "1" {}"#]);
    bench.refuse(1, "{}");
    bench.expect([
        r#"["1","1","room:a","phx_reply",{"status":"error","response":{}}]"#,
        r#"[null,"2","room:a","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        r#"["1","3","room:a","phx_reply",{"status":"ok","response":{}}]"#,
    ]);
    bench.commands([r#"join 2: room:a "4" {}"#]);
    bench.accept(2);
    bench.expect([r#"["4","4","room:a","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.commands([r#"message 2: "echo" "5" {}"#]);
}

#[test]
fn a_join_is_answered_once() {
    let mut bench = Bench::joined();
    bench.accept(1);
    bench.refuse(1, "{}");
    bench.join_crashed(1);
    bench.expect([]);
    assert_eq!(bench.connection.topics(), 1);
}
