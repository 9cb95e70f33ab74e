//! Recordings of phoenix.js against a real Phoenix: given the lines of the server and what the application
//! did, the client socket has to send the lines of the client.
//!
//! What the application did is taken from the client's lines: one that the socket does not send by itself (a
//! rejoin, a heartbeat, a leave after a timeout) was asked for.

mod player;
mod query;
mod recording;

use std::fmt::Write as _;

use player::Player;
use recording::Recording;

#[test]
fn the_socket_sends_what_phoenix_js_sent() {
    let mut differences = String::new();
    let mut clients = 0;
    insta::glob!("../../../../conformance/recordings", "*.jsonl", |path| {
        let recording = Recording::read(path);
        let mut transcript = String::new();
        for client in recording.phoenix_js() {
            let played = Player::play(&recording, &client);
            writeln!(transcript, "── client {client}").unwrap();
            transcript.push_str(&played.transcript);
            for difference in played.differences {
                writeln!(differences, "{} {client}: {difference}", recording.name).unwrap();
            }
            clients += 1;
        }
        if !transcript.is_empty() {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!("client", transcript);
            });
        }
    });
    assert_eq!(differences, "");
    assert_eq!(clients, 50, "every client that is phoenix.js");
}
