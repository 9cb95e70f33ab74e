//! From the lines of a recording to its events.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use phoenix_proto::{Incoming, Text};
use serde_json::Value;

use super::http::{Requests, target};
use super::{Event, PeerId, Sent, Target, Time, What};

pub(super) fn events(lines: &[Value]) -> Vec<Event> {
    let ends = lines
        .iter()
        .filter(|line| matches!(line["kind"].as_str(), Some("close" | "tcp_fin" | "tcp_rst" | "tcp_error")));
    let ended = ends.filter_map(|line| line["conn"].as_u64()).collect();
    let mut reader = Reader { ended, ..Reader::default() };
    for line in lines {
        reader.line(line);
    }
    reader.events
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    /// Handshakes that are not answered yet.
    handshakes: BTreeMap<u64, Target>,
    requests: Requests,
    /// Fragmented messages that are not complete yet, and whether they are binary.
    fragments: BTreeMap<u64, (bool, Vec<u8>)>,
    /// The connections that the client has closed, in one way or another.
    left: BTreeSet<u64>,
    /// The connections that the server has closed: that the client answers is no news.
    closed: BTreeSet<u64>,
    /// The last WebSocket of each client.
    last: BTreeMap<String, u64>,
    /// The connections whose end is recorded.
    ended: BTreeSet<u64>,
}

impl Reader {
    fn line(&mut self, line: &Value) {
        let at = time(line);
        let connection = line["conn"].as_u64().unwrap_or(0);
        let (from_client, long_polls) = (line["dir"] == "c2s", line["transport"] == "longpoll");
        let kind = line["kind"].as_str().expect("an event has a kind");
        let mut peer = PeerId::Connection(connection);
        let what = match kind {
            "request" if long_polls => {
                return self.requests.request(connection, at, line, &mut self.events);
            }
            "response" if long_polls => {
                return self.requests.response(connection, at, line, &mut self.events);
            }
            "tcp_fin" | "tcp_rst" if long_polls && from_client => {
                return self.requests.ended(connection, at, &mut self.events);
            }
            "open" => {
                self.last.insert(line["client"].to_string(), connection);
                self.handshakes.insert(connection, target(line));
                return;
            }
            "open_response" => {
                let target = self.handshakes.remove(&connection).expect("a request precedes its answer");
                if line["status"] == 101 {
                    What::Opened { target, request: None }
                } else {
                    peer = PeerId::Server;
                    What::Http { request: format!("upgrade {target}"), answer: line["status"].to_string() }
                }
            }
            "text" | "binary" | "continuation" if from_client => self.client_frame(connection, line),
            "ping" | "pong" | "unknown_opcode" if from_client => What::Bytes,
            // A client that was killed has no end on the wire, but its library noticed.
            "app" if line["data"]["code"] == 1006 => match self.last.get(&line["client"].to_string()) {
                Some(&killed) if !self.ended.contains(&killed) => {
                    peer = PeerId::Connection(killed);
                    What::Left
                }
                _ => return,
            },
            "close" if from_client && self.closed.contains(&connection) => return,
            "close" | "tcp_fin" | "tcp_rst" if from_client => {
                if !self.left.insert(connection) {
                    return;
                }
                What::Left
            }
            "text" if !is_abbreviated(line) => {
                What::Sent(Sent::Text(serde_json::from_slice(&decoded(line)).expect("Phoenix sends JSON")))
            }
            "binary" if !is_abbreviated(line) => What::Sent(Sent::Binary(decoded(line))),
            "close" => {
                self.closed.insert(connection);
                What::Sent(Sent::Close(line["code"].as_u64().unwrap_or(1005)))
            }
            "ctl" => {
                peer = PeerId::Server;
                let action = line["action"].as_str().expect("a call has a name").to_owned();
                What::Control { action, request: line["request"].clone() }
            }
            _ => return,
        };
        self.events.push(Event { at, peer, what });
    }

    /// Puts the parts of a message together; what a WebSocket layer would not hand over is only bytes.
    fn client_frame(&mut self, connection: u64, line: &Value) -> What {
        let begins = line["kind"] != "continuation";
        let refused = (line.get("rsv").is_some() && line.get("inflated").is_none())
            || line.get("masked").is_some()
            || is_abbreviated(line)
            || begins == self.fragments.contains_key(&connection);
        if refused {
            return What::Bytes;
        }
        let (binary, mut data) =
            self.fragments.remove(&connection).unwrap_or_else(|| (line["kind"] == "binary", Vec::new()));
        data.extend(decoded(line));
        if line["fin"] == false {
            self.fragments.insert(connection, (binary, data));
            return What::Bytes;
        }
        match (binary, Text::from_utf8(data.clone().into())) {
            (true, _) => What::Received(Incoming::Binary(data.into())),
            (false, Ok(text)) => What::Received(Incoming::Text(text)),
            (false, Err(_)) => What::Bytes,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes in tenths of ms")]
fn time(line: &Value) -> Time {
    (line["t"].as_f64().expect("an event has a time") * 10.0).round() as Time
}

/// Whether a payload was too long to be kept.
fn is_abbreviated(line: &Value) -> bool {
    line.get("inflated").unwrap_or(line).get("abbreviated").is_some()
}

/// The payload of a frame, inflated if it was compressed.
fn decoded(line: &Value) -> Vec<u8> {
    let content = line.get("inflated").unwrap_or(line);
    match (content["data"].as_str(), content["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (_, base64) => STANDARD.decode(base64.expect("frames have a payload")).expect("valid base64"),
    }
}
