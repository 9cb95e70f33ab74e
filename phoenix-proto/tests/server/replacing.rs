//! Protocol §9.4: a join of a topic that is joined already.

use phoenix_proto::server::{Notice, Timer};

use crate::bench::Bench;

const REPLY_2: &str = r#"["2","2","room:1","phx_reply",{"status":"ok","response":{}}]"#;
const CLOSE_1: &str = r#"["1","1","room:1","phx_close",{}]"#;

/// Channel 1 is told to die for a join with join_ref `"2"`.
fn replacing() -> Bench {
    let mut bench = Bench::joined();
    bench.client(r#"["2","2","room:1","phx_join",{"n":2}]"#);
    bench.commands(["kill 1"]);
    bench.notices([Notice::DuplicateJoin("room:1".into())]);
    bench
}

#[test]
fn the_new_reply_then_the_rest_of_the_old_then_its_close() {
    let mut bench = replacing();
    bench.push(1, "leftover");
    bench.expect([]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {"n":2}"#]);
    bench.broadcast(2, "early");
    bench.expect([]);
    bench.accept(2);
    bench.push(2, "joined");
    bench.expect([
        REPLY_2,
        r#"["1",null,"room:1","leftover",{}]"#,
        CLOSE_1,
        r#"[null,null,"room:1","early",{}]"#,
        r#"["2",null,"room:1","joined",{}]"#,
    ]);
    bench.push(1, "dead");
    bench.close_channel(1);
    bench.ended(1);
    bench.expect([]);
    assert_eq!(bench.connection.topics(), 1);
}

#[test]
fn the_same_join_ref_replaces_as_well() {
    let mut bench = Bench::joined();
    bench.client(r#"["1","5","room:1","phx_join",{}]"#);
    bench.commands(["kill 1"]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "1" {}"#]);
    bench.accept(2);
    bench.expect([r#"["1","5","room:1","phx_reply",{"status":"ok","response":{}}]"#, CLOSE_1]);
}

#[test]
fn a_close_of_its_own_is_swallowed_once_it_is_replaced() {
    let mut bench = replacing();
    bench.close_channel(1);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {"n":2}"#]);
    bench.accept(2);
    bench.expect([REPLY_2, CLOSE_1]);
}

#[test]
fn a_new_join_that_is_refused_leaves_nothing() {
    let mut bench = replacing();
    bench.client(r#"["2","3","room:1","echo",{}]"#);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {"n":2}"#]);
    bench.refuse(2, "{}");
    bench.expect([
        r#"["2","2","room:1","phx_reply",{"status":"error","response":{}}]"#,
        r#"[null,"3","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        CLOSE_1,
    ]);
    assert_eq!(bench.connection.topics(), 0);
}

#[test]
fn the_wait_for_the_old_channel_is_bounded() {
    let mut bench = replacing();
    assert_eq!(bench.timeout(), Some((5000, Timer::Replace)));
    bench.client(r#"[null,"3","phoenix","heartbeat",{}]"#);
    bench.expect([r#"[null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.wait(4999);
    bench.push(1, "leftover");
    bench.commands([]);
    bench.wait(1);
    bench.commands(["abandon 1", r#"join 2: room:1 "2" {"n":2}"#]);
    assert_eq!(bench.timeout(), Some((55_000, Timer::Idle)));
    bench.push(1, "too late");
    bench.ended(1);
    bench.accept(2);
    bench.expect([REPLY_2, r#"["1",null,"room:1","leftover",{}]"#, CLOSE_1]);
    bench.wait(5000);
}

#[test]
fn several_waits_end_each_in_its_time() {
    let mut bench = Bench::joined();
    bench.client(r#"["2","2","room:2","phx_join",{}]"#);
    bench.commands([r#"join 2: room:2 "2" {}"#]);
    bench.accept(2);
    bench.expect([r#"["2","2","room:2","phx_reply",{"status":"ok","response":{}}]"#]);
    bench.client(r#"["3","3","room:1","phx_join",{}]"#);
    bench.commands(["kill 1"]);
    bench.wait(1000);
    bench.client(r#"["4","4","room:2","phx_join",{}]"#);
    bench.commands(["kill 2"]);
    assert_eq!(bench.timeout(), Some((4000, Timer::Replace)));
    bench.wait(4000);
    bench.commands(["abandon 1", r#"join 3: room:1 "3" {}"#]);
    assert_eq!(bench.timeout(), Some((1000, Timer::Replace)));
    bench.wait(1000);
    bench.commands(["abandon 2", r#"join 4: room:2 "4" {}"#]);
    assert_eq!(bench.timeout(), Some((54_000, Timer::Idle)));
}

#[test]
fn three_joins_at_once() {
    let mut bench = Bench::v2();
    for n in [6, 7, 8] {
        bench.client(&format!(r#"["{n}","{n}","room:1","phx_join",{{"n":{n}}}]"#));
    }
    bench.client(r#"["8","9","room:1","echo",{}]"#);
    bench.client(r#"["7","10","room:1","echo",{}]"#);
    bench.commands([r#"join 1: room:1 "6" {"n":6}"#]);
    bench.accept(1);
    bench.commands(["kill 1"]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "7" {"n":7}"#]);
    bench.accept(2);
    bench.commands(["kill 2"]);
    bench.ended(2);
    bench.commands([r#"join 3: room:1 "8" {"n":8}"#]);
    bench.accept(3);
    bench.commands([r#"message 3: "echo" "9" {}"#]);
    bench.expect([
        r#"["6","6","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["7","7","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["8","8","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["6","6","room:1","phx_close",{}]"#,
        r#"["7","7","room:1","phx_close",{}]"#,
    ]);
}

#[test]
fn the_middle_one_of_three_is_refused() {
    let mut bench = Bench::v2();
    for n in [6, 7, 8] {
        bench.client(&format!(r#"["{n}","{n}","room:1","phx_join",{{}}]"#));
    }
    bench.commands([r#"join 1: room:1 "6" {}"#]);
    bench.accept(1);
    bench.commands(["kill 1"]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "7" {}"#]);
    bench.refuse(2, "{}");
    bench.commands([r#"join 3: room:1 "8" {}"#]);
    bench.accept(3);
    bench.expect([
        r#"["6","6","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["7","7","room:1","phx_reply",{"status":"error","response":{}}]"#,
        r#"["8","8","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["6","6","room:1","phx_close",{}]"#,
    ]);
}

#[test]
fn a_leave_right_before_a_join_loses_its_reply_to_the_kill() {
    let mut bench = Bench::joined();
    bench.client(r#"["1","3","room:1","phx_leave",{}]"#);
    bench.client(r#"["2","2","room:1","phx_join",{}]"#);
    bench.commands([r#"leave 1: "3""#, "kill 1"]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {}"#]);
    bench.accept(2);
    bench.expect([REPLY_2, CLOSE_1]);
}

#[test]
fn a_crash_of_the_old_channel_counts_as_its_end() {
    let mut bench = replacing();
    bench.join_crashed(1);
    bench.commands([]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {"n":2}"#]);
    bench.ended(2);
    bench.expect([
        r#"["2","2","room:1","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]"#,
        CLOSE_1,
    ]);
}

#[test]
fn the_new_join_may_be_without_join_ref() {
    let mut bench = Bench::joined();
    bench.client(r#"[null,"2","room:1","phx_join",{}]"#);
    bench.commands(["kill 1"]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {}"#]);
    bench.accept(2);
    bench.push(2, "hello");
    bench.close_channel(2);
    bench.expect([
        r#"[null,"2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        CLOSE_1,
        r#"["2",null,"room:1","hello",{}]"#,
        r#"[null,null,"room:1","phx_close",{}]"#,
    ]);
}
