//! A recording as the machine sees it: whole messages in, frames and close codes out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use phoenix_proto::{Incoming, Text};
use serde_json::Value;

/// Virtual time in tenths of a millisecond, as precise as the recordings are.
pub(crate) type Time = u64;

pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) events: Vec<Event>,
}

pub(crate) struct Event {
    pub(crate) at: Time,
    /// The number of the connection; 0 for what does not belong to one.
    pub(crate) connection: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// The upgrade succeeded.
    Opened { path: String, query: String },
    /// A whole message from the client.
    Received(Incoming),
    /// Bytes from the client that are no message: a ping, a part of a message, a frame not kept in full.
    Bytes,
    /// The client closed the connection, or it was gone.
    Left,
    /// What Phoenix sent.
    Sent(Sent),
    /// A call to the control interface of the reference application.
    Control { action: String, request: Value },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sent {
    Text(Value),
    Binary(Vec<u8>),
    Close(u64),
}

/// How far apart frames may be that were read in one go.
const READ_TOGETHER: Time = 3;

impl Event {
    /// The message and its time, if it came so soon after the `first` one that both were read together.
    pub(crate) fn received_with(&self, first: &Self) -> Option<(Time, &Incoming)> {
        match &self.what {
            What::Received(incoming)
                if self.connection == first.connection && self.at <= first.at + READ_TOGETHER =>
            {
                Some((self.at, incoming))
            }
            _ => None,
        }
    }
}

impl Recording {
    pub(crate) fn read(path: &Path) -> Self {
        let lines = std::fs::read_to_string(path).expect("the recording is readable");
        let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
        let head = lines.next().expect("the first line describes the recording");
        let mut reader = Reader::default();
        for line in lines {
            reader.line(&line);
        }
        Self {
            name: head["scenario"].as_str().expect("a recording has a name").to_owned(),
            description: head["desc"].as_str().expect("a recording has a description").to_owned(),
            events: reader.events,
        }
    }
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    /// Path and query of the requests that are not answered yet.
    requests: BTreeMap<u64, (String, String)>,
    /// Fragmented messages that are not complete yet, and whether they are binary.
    fragments: BTreeMap<u64, (bool, Vec<u8>)>,
    /// The connections that the client has closed, in one way or another.
    left: BTreeSet<u64>,
}

impl Reader {
    fn line(&mut self, line: &Value) {
        let connection = line["conn"].as_u64().unwrap_or(0);
        let value = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let from_client = line["dir"] == "c2s";
        let what = match line["kind"].as_str().expect("an event has a kind") {
            "open" => {
                self.requests.insert(connection, (value("path"), value("query")));
                return;
            }
            "open_response" if line["status"] == 101 => {
                let (path, query) = self.requests.remove(&connection).expect("a request precedes its answer");
                What::Opened { path, query }
            }
            "text" | "binary" | "continuation" if from_client => self.client_frame(connection, line),
            "ping" | "pong" | "unknown_opcode" if from_client => What::Bytes,
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
            "close" => What::Sent(Sent::Close(line["code"].as_u64().unwrap_or(1005))),
            "ctl" => What::Control { action: value("action"), request: line["request"].clone() },
            _ => return,
        };
        let at = line["t"].as_f64().expect("an event has a time") * 10.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "minutes in tenths of ms"
        )]
        self.events.push(Event { at: at.round() as Time, connection, what });
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
