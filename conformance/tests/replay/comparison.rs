//! What counts as a difference: a recording is replayed against a server that does a little more, less, or otherwise.

use std::sync::Arc;

use crate::support::{self, Playback};
use phoenix_conformance::recording::Recording;
use phoenix_conformance::{Deviations, Kind, Report, Verdict};

const OPEN: &str = r#"{"t":1,"client":"A","conn":1,"dir":"c2s","transport":"websocket","kind":"open","method":"GET","path":"/socket/websocket","query":"vsn=2.0.0","version":"HTTP/1.1","headers":[["Host","127.0.0.1:5000"],["Upgrade","websocket"]],"body":""}
{"t":2,"client":"A","conn":1,"dir":"s2c","transport":"websocket","kind":"open_response","status":101,"reason":"Switching Protocols","version":"HTTP/1.1","headers":[["cache-control","no-store"]],"body":""}"#;
const PING: &str =
    r#"{"t":3,"client":"A","conn":1,"dir":"c2s","transport":"websocket","kind":"ping","base64":"eA=="}"#;
const CLOSE: &str = r#"{"t":5,"client":"A","conn":1,"dir":"s2c","transport":"websocket","kind":"close","code":1002,"reason":""}"#;

/// A frame of the server at a time of the recording.
fn at(t: u32, message: &str) -> String {
    let data = serde_json::Value::from(message);
    format!(
        r#"{{"t":{t},"client":"A","conn":1,"dir":"s2c","transport":"websocket","kind":"text","data":{data}}}"#
    )
}

fn frame(message: &str) -> String {
    at(4, message)
}

fn recording(lines: &[String]) -> Recording {
    let meta = r#"{"t":0,"kind":"meta","scenario":"x"}"#;
    let all: Vec<&str> = [meta]
        .into_iter()
        .chain(OPEN.lines())
        .chain([PING])
        .chain(lines.iter().map(String::as_str))
        .collect();
    Recording::parse("x", all).unwrap()
}

async fn replay(recorded: &[String], played: &[String], deviations: Deviations) -> Report {
    let playback = Arc::new(Playback::start(recording(played)));
    support::replay(playback).recordings([recording(recorded)]).deviations(deviations).run().await.unwrap()
}

async fn differences(recorded: &[String], played: &[String]) -> Vec<Kind> {
    let report = replay(recorded, played, Deviations::default()).await;
    report.outcomes[0].differences.iter().map(|difference| difference.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn topics_interleave_freely_but_each_keeps_its_order() {
    let [a, b, c] = [
        "[null,null,\"a\",\"x\",{\"n\":1}]",
        "[null,null,\"b\",\"x\",{}]",
        "[null,null,\"a\",\"x\",{\"n\":2}]",
    ];
    let recorded = [a, b, c].map(frame);
    assert_eq!(differences(&recorded, &[b, a, c].map(frame)).await, []);
    assert_eq!(differences(&recorded, &[c, b, a].map(frame)).await, [Kind::Missing, Kind::Extra]);
}

#[tokio::test(start_paused = true)]
async fn replies_of_the_connection_keep_their_order_across_topics() {
    let heartbeat = r#"[null,"1","phoenix","phx_reply",{"response":{},"status":"ok"}]"#;
    let unmatched =
        r#"[null,"2","t","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]"#;
    let recorded = [heartbeat, unmatched].map(frame);
    assert_eq!(differences(&recorded, &[unmatched, heartbeat].map(frame)).await, [Kind::Order]);
}

#[tokio::test(start_paused = true)]
async fn the_own_diff_of_a_presence_races_its_state_and_nothing_else_does() {
    let state = r#"["3",null,"t","presence_state",{}]"#;
    let diff = r#"[null,null,"t","presence_diff",{"joins":{},"leaves":{}}]"#;
    let other = r#"["3",null,"t","other",{}]"#;
    assert_eq!(differences(&[state, diff].map(frame), &[diff, state].map(frame)).await, []);
    assert_ne!(differences(&[other, diff].map(frame), &[diff, other].map(frame)).await, []);
}

#[tokio::test(start_paused = true)]
async fn nothing_may_follow_the_close_frame() {
    let message = frame(r#"[null,null,"t","x",{}]"#);
    let recorded = [message.clone(), CLOSE.to_owned()];
    assert_eq!(differences(&recorded, &[CLOSE.to_owned(), message]).await, [Kind::Order]);
}

#[tokio::test(start_paused = true)]
async fn texts_of_inspect_may_differ_as_long_as_they_tell_the_same_things_apart() {
    let reply = |n: u32, text: &str| {
        frame(&format!(r#"["1","{n}","t","phx_reply",{{"response":{{"inspect":"{text}"}},"status":"ok"}}]"#))
    };
    let recorded = [reply(1, "%{}"), reply(2, "nil"), reply(3, "%{}")];
    assert_eq!(differences(&recorded, &[reply(1, "{}"), reply(2, "null"), reply(3, "{}")]).await, []);
    let confused = [reply(1, "{}"), reply(2, "{}"), reply(3, "{}")];
    assert_eq!(differences(&recorded, &confused).await, [Kind::Identity]);
    let changing = [reply(1, "{}"), reply(2, "null"), reply(3, "[]")];
    assert_eq!(differences(&recorded, &changing).await, [Kind::Identity]);
}

#[tokio::test(start_paused = true)]
async fn json_is_compared_by_meaning() {
    let recorded = [frame(r#"["1","2","t","phx_reply",{"response":{"a":1,"b":1.0e3},"status":"ok"}]"#)];
    let spelled = [frame(r#"["1", "2", "t", "phx_reply", {"status":"ok","response":{"b":1000,"a":1}}]"#)];
    assert_eq!(differences(&recorded, &spelled).await, []);
    let changed = [frame(r#"["1","2","t","phx_reply",{"response":{"a":1,"b":1001},"status":"ok"}]"#)];
    assert_eq!(differences(&recorded, &changed).await, [Kind::Changed]);
}

#[tokio::test(start_paused = true)]
async fn timers_are_compared() {
    let message = r#"[null,null,"t","x",{}]"#;
    let recorded = [at(1500, message)];
    assert_eq!(differences(&recorded, &[at(1600, message)]).await, []);
    assert_eq!(differences(&recorded, &[at(700, message)]).await, [Kind::Early]);
    assert_eq!(differences(&recorded, &[at(5000, message)]).await, [Kind::Late]);
}

#[tokio::test(start_paused = true)]
async fn a_listed_deviation_is_allowed_and_must_occur() {
    let list = |recordings: &str| {
        let text = format!(
            "| id | Phoenix |\n|---|---|\n| D1 | says y |\n\n```toml\n[[allow]]\nid = \"D1\"\nrecordings = [\"{recordings}\"]\nkind = \"changed\"\nrecorded = '\"x\"'\nactual = '\"y\"'\n```\n"
        );
        Deviations::parse(&text).unwrap()
    };
    let recorded = [frame(r#"[null,null,"t","x",{}]"#)];
    let played = [frame(r#"[null,null,"t","y",{}]"#)];
    let report = replay(&recorded, &played, list("x*")).await;
    assert!(report.is_ok(), "{}", report.to_text());
    assert_eq!(report.outcomes[0].differences[0].allowed_by.as_deref(), Some("D1"));

    let report = replay(&recorded, &recorded, list("x*")).await;
    assert_eq!(report.stale_deviations, ["D1"]);
    assert!(!report.is_ok());

    let report = replay(&recorded, &played, list("y*")).await;
    assert_eq!(report.count(Verdict::Failed), 1);
    assert_eq!(report.stale_deviations, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_report_can_be_read_by_people_and_machines() {
    let recorded = [frame(r#"[null,null,"t","x",{"n":1}]"#)];
    let played = [frame(r#"[null,null,"t","x",{"n":2}]"#)];
    let report = replay(&recorded, &played, Deviations::default()).await;
    let text = report.to_text();
    assert!(
        text.contains("x:5 client A connection 1: changed") && text.contains("0 passed, 1 failed"),
        "{text}"
    );

    let mut json = Vec::new();
    report.write_json(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["outcomes"][0]["differences"][0]["kind"], "changed");

    let mut junit = Vec::new();
    report.write_junit(&mut junit).unwrap();
    let junit = String::from_utf8(junit).unwrap();
    assert!(junit.contains(r#"failures="1""#) && junit.contains(r#"<testcase name="x""#), "{junit}");
}
