//! Recordings of phoenix.js against a real Phoenix: given the lines of the server and what the application
//! did, the client socket has to send the lines of the client.
//!
//! What the application did is taken from the client's lines: one that the socket does not send by itself (a
//! rejoin, a heartbeat, a leave after a timeout) was asked for.
//!
//! `browser_fallback` is not among them: there phoenix.js sends one join twice, because the WebSocket that it has
//! given up errors its channels once more; this socket does not.

mod player;
mod query;
mod recording;

use std::fmt::Write as _;

use player::Player;
use recording::Recording;

/// The clients that are phoenix.js, by recording. Where a label stands for several sockets, a number
/// names a connection instead.
const CLIENTS: [(&str, &str); 28] = [
    ("browser_ws.v2", "345"),
    ("lp_fallback.v2", "ABCD"),
    ("lp_gone.v2", "D"),
    ("lp_session_phoenixjs.v2", "A"),
    ("ws_auth_token.v2", "BC"),
    ("ws_binary.v2", "AB"),
    ("ws_broadcast.v1", "ABC"),
    ("ws_broadcast.v2", "ABC"),
    ("ws_compress.v2", "B"),
    ("ws_connect_heartbeat.v1", "AB"),
    ("ws_connect_heartbeat.v2", "AB"),
    ("ws_connect_info.v2", "B"),
    ("ws_connect_refused.v2", "BC"),
    ("ws_ctl_disconnect.v2", "AB"),
    ("ws_drain.v2", "A"),
    ("ws_duplicate_join.v2", "A"),
    ("ws_intercept.v2", "AB"),
    ("ws_join_variants.v1", "12B"),
    ("ws_join_variants.v2", "AB"),
    ("ws_leave.v2", "A"),
    ("ws_presence.v2", "ABC"),
    ("ws_push_crash_rejoin.v1", "A"),
    ("ws_push_crash_rejoin.v2", "A"),
    ("ws_push_replies.v1", "A"),
    ("ws_push_replies.v2", "A"),
    ("ws_server_shutdown.v2", "A"),
    ("ws_server_shutdown_lp.v2", "A"),
    ("ws_slowjoin.v2", "B"),
];

#[test]
fn the_socket_sends_what_phoenix_js_sent() {
    let mut differences = String::new();
    for (name, clients) in CLIENTS {
        let recording = Recording::read(name);
        let mut transcript = String::new();
        for client in clients.chars() {
            let played = Player::play(&recording, &client.to_string());
            writeln!(transcript, "── client {client}").unwrap();
            transcript.push_str(&played.transcript);
            for difference in played.differences {
                writeln!(differences, "{name} {client}: {difference}").unwrap();
            }
        }
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, transcript);
        });
    }
    assert_eq!(differences, "");
}
