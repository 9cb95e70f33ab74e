//! Every recorded session, replayed into the pure machines.
//!
//! What the clients sent goes in at its recorded time; a stand-in of the reference application plays the channels in
//! virtual time, between the machines for connections, long-poll sessions and presences. Each snapshot shows the
//! conversations and, below them, how they differ from what Phoenix said. A recording may differ only if [`EXPLAINED`]
//! says why.

mod app;
mod channels;
mod difference;
mod recording;
mod transcript;

use std::fmt::Write;

use app::App;
use recording::Recording;

/// The recordings that are answered differently, with the reason.
const EXPLAINED: &[(&str, &str)] = &[
    (
        "lp_post_bodies.v2",
        "empty lines are ignored, D12; a session that dies is gone at once, D13; what is binary is refused, D14; \
         bodies of 8 MB were not recorded in full",
    ),
    ("ws_binary.v2", "an empty join_ref in a binary frame counts as null, D4"),
    ("ws_compress.v2", CLOSED_BELOW),
    ("ws_duplicate_join.v2", CONCURRENT_JOINS),
    ("ws_frames.v2", CLOSED_BELOW),
    ("ws_json_format.v2", "JSON passes through as it came, -0 and repeated keys included, D8"),
    (
        "ws_max_frame_size.v2",
        "the limit and its 1009 are up to the WebSocket layer, protocol §8.3; long frames were not recorded in full",
    ),
    ("ws_server_shutdown.v2", SHUTDOWN),
    ("ws_server_shutdown_lp.v2", SHUTDOWN),
    ("ws_slowjoin.v2", CONCURRENT_JOINS),
];

const CLOSED_BELOW: &str =
    "these rules are those of the WebSocket layer, which closes by itself, protocol §8";
const CONCURRENT_JOINS: &str = "a join blocks its topic, not the connection, D1";
const SHUTDOWN: &str = "that the server shuts down is not in the recording";

#[test]
fn recordings() {
    let mut unexplained = String::new();
    let mut not_seen: Vec<_> = EXPLAINED.iter().map(|(name, _)| *name).collect();
    insta::glob!("../../../conformance/recordings", "*.jsonl", |path| {
        let recording = Recording::read(path);
        let answers = App::new(&recording).replay();
        let differences = difference::differences(&recording, &answers);
        not_seen.retain(|name| *name != recording.name);
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
    assert!(not_seen.is_empty(), "explained, but not recorded: {not_seen:?}");
}
