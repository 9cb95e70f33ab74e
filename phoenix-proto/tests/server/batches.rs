//! FINDINGS §6, §9, §16: of frames that were read together, what the connection itself answers comes first, joins
//! included, and what channels say afterwards.

use phoenix_proto::server::Notice;

use crate::bench::Bench;

const REPLY_1: &str = r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#;
const HEARTBEAT: &str = r#"[null,"h","phoenix","heartbeat",{}]"#;
const ALIVE: &str = r#"[null,"h","phoenix","phx_reply",{"status":"ok","response":{}}]"#;

#[test]
fn a_join_is_answered_before_the_frames_behind_it() {
    let mut bench = Bench::v2();
    bench.begin_batch();
    bench.client(r#"["1","1","room:1","phx_join",{}]"#);
    bench.commands([r#"join 1: room:1 "1" {}"#]);
    bench.accept(1);
    bench.push(1, "joined");
    bench.client(HEARTBEAT);
    bench.end_batch();
    bench.expect([REPLY_1, ALIVE, r#"["1",null,"room:1","joined",{}]"#]);
}

#[test]
fn the_closes_of_replaced_channels_come_behind_all_replies() {
    let mut bench = Bench::v2();
    bench.begin_batch();
    for n in 1..=3 {
        bench.client(&format!(r#"["{n}","{n}","room:1","phx_join",{{}}]"#));
        if n > 1 {
            bench.commands([format!("kill {}", n - 1).as_str()]);
            bench.ended(n - 1);
        }
        bench.commands([format!(r#"join {n}: room:1 "{n}" {{}}"#).as_str()]);
        bench.accept(n);
    }
    bench.end_batch();
    bench.notices([Notice::DuplicateJoin("room:1".into()), Notice::DuplicateJoin("room:1".into())]);
    bench.expect([
        REPLY_1,
        r#"["2","2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["3","3","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","1","room:1","phx_close",{}]"#,
        r#"["2","2","room:1","phx_close",{}]"#,
    ]);
}

#[test]
fn a_slow_join_holds_up_nobody() {
    let mut bench = Bench::v2();
    bench.begin_batch();
    bench.client(r#"["1","1","room:1","phx_join",{}]"#);
    bench.commands([r#"join 1: room:1 "1" {}"#]);
    bench.client(HEARTBEAT);
    bench.end_batch();
    bench.expect([ALIVE]);
    bench.accept(1);
    bench.expect([REPLY_1]);
}

#[test]
fn a_crash_in_between_is_told_at_the_end() {
    let mut bench = Bench::joined();
    bench.begin_batch();
    bench.ended(1);
    bench.client(HEARTBEAT);
    bench.expect([ALIVE]);
    bench.end_batch();
    bench.expect([r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#]);
}
