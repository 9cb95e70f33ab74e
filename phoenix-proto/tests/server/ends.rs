//! How a channel ends: protocol §9.6 and §10.3.

use crate::bench::Bench;

#[test]
fn leaving_is_a_reply_and_a_close() {
    let mut bench = Bench::joined();
    bench.client(r#"["1","2","room:1","phx_leave",{}]"#);
    bench.commands([r#"leave 1: "2""#]);
    bench.reply(1, "2", "{}");
    bench.close_channel(1);
    bench.push(1, "bye");
    bench.ended(1);
    bench.push(1, "ghost");
    bench.expect([
        r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","1","room:1","phx_close",{}]"#,
        r#"["1",null,"room:1","bye",{}]"#,
    ]);
}

#[test]
fn after_the_close_the_topic_is_not_joined() {
    let mut bench = Bench::joined();
    bench.close_channel(1);
    bench.client(r#"["1","3","room:1","echo",{}]"#);
    bench.client(r#"["1","4","room:1","phx_leave",{}]"#);
    bench.expect([
        r#"["1","1","room:1","phx_close",{}]"#,
        r#"[null,"3","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        r#"["1","4","room:1","phx_reply",{"status":"ok","response":{}}]"#,
    ]);
    assert_eq!(bench.connection.topics(), 0);
}

#[test]
fn messages_behind_a_leave_go_to_the_channel_that_leaves() {
    let mut bench = Bench::joined();
    bench.client(r#"["1","2","room:1","phx_leave",{}]"#);
    bench.client(r#"["1","3","room:1","echo",{}]"#);
    bench.client(r#"["1","4","room:1","phx_leave",{}]"#);
    bench.commands([r#"leave 1: "2""#, r#"message 1: "echo" "3" {}"#, r#"leave 1: "4""#]);
}

#[test]
fn a_topic_can_be_joined_while_its_old_channel_still_cleans_up() {
    let mut bench = Bench::joined();
    bench.close_channel(1);
    bench.client(r#"["2","2","room:1","phx_join",{}]"#);
    bench.commands([r#"join 2: room:1 "2" {}"#]);
    bench.push(1, "bye");
    bench.accept(2);
    bench.push(1, "bye again");
    bench.ended(1);
    bench.push(2, "hello");
    bench.expect([
        r#"["1","1","room:1","phx_close",{}]"#,
        r#"["1",null,"room:1","bye",{}]"#,
        r#"["2","2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1",null,"room:1","bye again",{}]"#,
        r#"["2",null,"room:1","hello",{}]"#,
    ]);
    bench.client(r#"["2","3","room:1","echo",{}]"#);
    bench.commands([r#"message 2: "echo" "3" {}"#]);
    bench.ended(2);
    bench.expect([r#"["2","2","room:1","phx_error",{"reason":"channel_crash"}]"#]);
    assert_eq!(bench.connection.topics(), 0);
}

#[test]
fn a_crash_is_an_error_behind_everything_it_sent() {
    let mut bench = Bench::joined();
    bench.reply(1, "2", "{}");
    bench.push(1, "terminating");
    bench.ended(1);
    bench.push(1, "ghost");
    bench.expect([
        r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1",null,"room:1","terminating",{}]"#,
        r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#,
    ]);
    bench.client(r#"["1","3","room:1","echo",{}]"#);
    bench.expect([
        r#"[null,"3","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
    ]);
}

#[test]
fn an_instance_ends_once() {
    let mut bench = Bench::joined();
    bench.close_channel(1);
    bench.close_channel(1);
    bench.ended(1);
    bench.ended(1);
    bench.close_channel(1);
    bench.expect([r#"["1","1","room:1","phx_close",{}]"#]);
}

#[test]
fn a_crash_leaves_the_other_channels_alone() {
    let mut bench = Bench::joined();
    bench.client(r#"["2","2","room:2","phx_join",{}]"#);
    bench.commands([r#"join 2: room:2 "2" {}"#]);
    bench.accept(2);
    bench.ended(1);
    bench.push(2, "alive");
    bench.expect([
        r#"["2","2","room:2","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#,
        r#"["2",null,"room:2","alive",{}]"#,
    ]);
}

#[test]
fn the_place_of_a_dead_channel_is_used_again_under_another_name() {
    let mut bench = Bench::joined();
    bench.ended(1);
    bench.client(r#"["2","2","room:2","phx_join",{}]"#);
    bench.commands([r#"join 2: room:2 "2" {}"#]);
    assert_eq!(bench.id(1).slot(), bench.id(2).slot());
    assert_ne!(bench.id(1), bench.id(2));
    bench.push(1, "ghost");
    bench.accept(1);
    bench.ended(1);
    bench.accept(2);
    bench.expect([
        r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#,
        r#"["2","2","room:2","phx_reply",{"status":"ok","response":{}}]"#,
    ]);
}
