//! How much one client may ask for.

use phoenix_proto::server::Notice;

use crate::bench::Bench;

#[test]
fn one_join_more_than_allowed_is_refused() {
    let mut bench = Bench::with(|config| config.max_channels = 1).join_room();
    bench.client(r#"["2","3","room:2","phx_join",{}]"#);
    bench.expect([r#"["2","3","room:2","phx_reply",{"status":"error","response":{"reason":"too many channels joined"}}]"#]);
    bench.notices([Notice::TooManyChannels("room:2".into())]);
}

#[test]
fn by_default_100_channels_may_be_joined() {
    let mut bench = Bench::v2();
    for n in 1..=100 {
        bench.client(&format!(r#"["{n}","{n}","room:{n}","phx_join",{{}}]"#));
        bench.commands([&*format!(r#"join {n}: room:{n} "{n}" {{}}"#)]);
        bench.accept(n);
        bench
            .expect([&*format!(r#"["{n}","{n}","room:{n}","phx_reply",{{"status":"ok","response":{{}}}}]"#)]);
    }
    bench.client(r#"["101","101","room:101","phx_join",{}]"#);
    bench.expect([r#"["101","101","room:101","phx_reply",{"status":"error","response":{"reason":"too many channels joined"}}]"#]);
}

#[test]
fn at_the_limit_a_topic_can_be_joined_again() {
    let mut bench = Bench::with(|config| config.max_channels = 1).join_room();
    bench.client(r#"["2","2","room:1","phx_join",{}]"#);
    bench.commands(["kill 1"]);
    bench.ended(1);
    bench.commands([r#"join 2: room:1 "2" {}"#]);
    bench.accept(2);
    bench.expect([
        r#"["2","2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","1","room:1","phx_close",{}]"#,
    ]);
}

#[test]
fn an_unmatched_topic_is_told_before_the_limit() {
    let mut bench = Bench::with(|config| config.max_channels = 0);
    bench.client(r#"["1","1","nosuch","phx_join",{}]"#);
    bench.expect([
        r#"[null,"1","nosuch","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
    ]);
}

#[test]
fn what_ends_makes_room() {
    let mut bench = Bench::with(|config| config.max_channels = 1);
    for n in 1..=6 {
        bench.client(&format!(r#"["{n}","{n}","room:{n}","phx_join",{{}}]"#));
        bench.commands([&*format!(r#"join {n}: room:{n} "{n}" {{}}"#)]);
        match n % 3 {
            0 => bench.refuse(n, "{}"),
            1 => {
                bench.accept(n);
                bench.close_channel(n);
            }
            _ => {
                bench.accept(n);
                bench.ended(n);
            }
        }
        while bench.connection.poll_transmit().is_some() {}
        assert_eq!(bench.connection.topics(), 0);
    }
}

#[test]
fn reading_pauses_while_messages_are_in_work() {
    let mut bench = Bench::with(|config| config.max_in_flight = 2).join_room();
    bench.client(r#"["1","2","room:1","echo",{}]"#);
    assert!(bench.connection.wants_read());
    bench.client(r#"["1","3","room:1","phx_leave",{}]"#);
    assert!(!bench.connection.wants_read());
    bench.commands([r#"message 1: "echo" "2" {}"#, r#"leave 1: "3""#]);
    assert!(!bench.connection.wants_read());
    bench.credits.pop();
    assert!(bench.connection.wants_read());
}

#[test]
fn credits_of_a_channel_that_ended_count_until_they_are_dropped() {
    let mut bench = Bench::with(|config| config.max_in_flight = 1).join_room();
    bench.client(r#"["1","2","room:1","echo",{}]"#);
    bench.commands([r#"message 1: "echo" "2" {}"#]);
    bench.ended(1);
    bench.expect([r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#]);
    assert!(!bench.connection.wants_read());
    bench.credits.clear();
    assert!(bench.connection.wants_read());
}

#[test]
fn reading_pauses_while_messages_wait_for_a_join() {
    for refuse in [false, true] {
        let mut bench = Bench::with(|config| config.max_in_flight = 2);
        bench.client(r#"["1","1","room:1","phx_join",{}]"#);
        bench.client(r#"["0","2","room:1","echo",{}]"#);
        assert!(bench.connection.wants_read());
        bench.client(r#"["0","3","room:1","echo",{}]"#);
        assert!(!bench.connection.wants_read());
        bench.commands([r#"join 1: room:1 "1" {}"#]);
        if refuse {
            bench.refuse(1, "{}");
        } else {
            bench.accept(1);
        }
        assert!(bench.connection.wants_read());
        while bench.connection.poll_transmit().is_some() {}
    }
}

#[test]
fn reading_pauses_while_frames_are_not_written() {
    let mut bench = Bench::with(|config| config.max_transmits = 2).join_room();
    bench.push(1, "a");
    assert!(bench.connection.wants_read());
    bench.push(1, "b");
    assert!(!bench.connection.wants_read());
    bench.expect([r#"["1",null,"room:1","a",{}]"#, r#"["1",null,"room:1","b",{}]"#]);
    assert!(bench.connection.wants_read());
}

#[test]
fn notices_that_nobody_takes_do_not_pile_up() {
    let mut bench = Bench::joined();
    for _ in 0..1000 {
        bench.client(r#"["0","2","room:1","echo",{}]"#);
    }
    assert_eq!(std::iter::from_fn(|| bench.connection.poll_event()).count(), 64);
}
