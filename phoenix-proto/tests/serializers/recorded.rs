//! Every malformed frame that was recorded ends the connection here exactly when it did there.

use phoenix_proto::{Serializer, V1, V2};
use serde_json::Value;

use crate::text;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/recordings");

#[test]
fn malformed_v1() {
    check("ws_malformed.v1", &V1, 19, 9);
}

#[test]
fn malformed_v2() {
    check("ws_malformed.v2", &V2, 57, 18);
}

/// Every connection of the recording sends one frame worth testing between a join and a heartbeat.
fn check(recording: &str, serializer: &dyn Serializer, connections: usize, closed: usize) {
    let lines =
        std::fs::read_to_string(format!("{RECORDINGS}/{recording}.jsonl")).expect("the recording is there");
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("recordings are JSON lines")).collect();
    let mut outcomes = Vec::new();
    for connection in 1..=connections {
        let of_kind = |dir: &str, kind: &str| {
            let (dir, kind) = (dir.to_owned(), kind.to_owned());
            events.iter().filter(move |event| {
                event["conn"] == connection && event["dir"] == *dir && event["kind"] == *kind
            })
        };
        let refused = of_kind("c2s", "text").find_map(|event| {
            let frame = event["data"].as_str().expect("text frames have data");
            serializer.decode(text(frame)).err().map(|error| format!("{frame}: {error}"))
        });
        let code = of_kind("s2c", "close").next().expect("every connection is closed")["code"].as_u64();
        assert_eq!(refused.is_some(), code == Some(1011), "connection {connection}: {refused:?}, {code:?}");
        outcomes.extend(refused);
    }
    assert_eq!(outcomes.len(), closed, "{outcomes:#?}");
}
