//! Every recorded WebSocket session, replayed into the pure machine.
//!
//! The clients' frames go in at their recorded times; a stand-in of the reference application plays the
//! channels in virtual time. Each snapshot shows the conversation and, below it, how it differs from what
//! Phoenix said. A recording may differ only if [`EXPLAINED`] says why.

mod app;
mod channels;
mod recording;
mod transcript;

use std::fmt::Write;

use app::App;
use recording::Recording;

/// The recordings that are answered differently, with the reason.
const EXPLAINED: &[(&str, &str)] = &[
    ("ws_binary.v2", "an empty join_ref in a binary frame counts as null, Q3"),
    ("ws_compress.v2", CLOSED_BELOW),
    ("ws_duplicate_join.v2", CONCURRENT_JOINS),
    ("ws_frames.v2", CLOSED_BELOW),
    ("ws_json_format.v2", "JSON passes through as it came, -0 and repeated keys included"),
    (
        "ws_max_frame_size.v2",
        "the limit and its 1009 are up to the WebSocket layer; long frames were not recorded in full",
    ),
    ("ws_presence.v2", "presences are no part of a connection, and none are tracked here"),
    ("ws_server_shutdown.v2", SHUTDOWN),
    ("ws_server_shutdown_lp.v2", SHUTDOWN),
    ("ws_slowjoin.v2", CONCURRENT_JOINS),
];

const CLOSED_BELOW: &str = "these rules are those of the WebSocket layer, which closes by itself";
const CONCURRENT_JOINS: &str = "a join blocks its topic, not the connection, Q4";
const SHUTDOWN: &str = "that the server shuts down is not in the recording";

#[test]
fn recordings() {
    let mut unexplained = String::new();
    insta::glob!("../../../conformance/recordings", "ws_*.jsonl", |path| {
        let recording = Recording::read(path);
        let answers = App::new(&recording).replay();
        let differences = transcript::differences(&recording, &answers);
        let reason = EXPLAINED.iter().find(|(name, _)| *name == recording.name).map(|(_, reason)| *reason);
        if differences.is_empty() == reason.is_some() {
            let reason = reason.unwrap_or("not at all");
            write!(unexplained, "{}, explained as: {reason}\n{differences}", recording.name)
                .expect("a string");
        }
        let summary = match reason {
            Some(reason) => format!("Differences from the recording ({reason}):\n\n{differences}"),
            None => "Differences from the recording: none\n".to_owned(),
        };
        let snapshot = format!("{}{summary}", transcript::render(&recording, &answers));
        insta::with_settings!({ description => recording.description.as_str(), omit_expression => true }, {
            insta::assert_snapshot!("replay", snapshot);
        });
    });
    assert!(unexplained.is_empty(), "{unexplained}");
}
