//! Frames and recordings for the tests of this module.

use std::{fs, iter};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use serde_json::Value;

/// A client frame to be put on the wire.
#[derive(Debug, Clone)]
pub(crate) struct ClientFrame {
    /// FIN, RSV and opcode.
    pub(crate) first_byte: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl ClientFrame {
    pub(crate) fn new(first_byte: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { first_byte, masked: true, payload: payload.into() }
    }

    /// The bytes on the wire, with the shortest length encoding.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = self.payload.len();
        match u16::try_from(length) {
            Ok(0..=125) => self.encode_with(&[u8::try_from(length).unwrap_or_default()]),
            Ok(length) => self.encode_with_u16(length),
            Err(_) => self.encode_with(&[&[127], &(length as u64).to_be_bytes()[..]].concat()),
        }
    }

    /// The bytes on the wire with a length of two bytes, however short the payload is.
    pub(crate) fn encode_with_u16(&self, length: u16) -> Vec<u8> {
        self.encode_with(&[&[126], &length.to_be_bytes()[..]].concat())
    }

    fn encode_with(&self, length: &[u8]) -> Vec<u8> {
        let mut bytes = vec![self.first_byte];
        bytes.extend_from_slice(length);
        if self.masked {
            bytes[1] |= 0x80;
            bytes.extend_from_slice(&KEY);
            let masked = iter::zip(&self.payload, KEY.iter().cycle()).map(|(byte, key)| byte ^ key);
            bytes.extend(masked);
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }
}

/// Traffic of a real Phoenix server.
pub(crate) struct Recording {
    lines: Vec<Value>,
}

/// An upgrade request and its answer.
pub(crate) struct Upgrade {
    /// What the scenario said about it.
    pub(crate) note: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) request: HeaderMap,
    pub(crate) status: u64,
    pub(crate) response: HeaderMap,
    pub(crate) body: String,
}

/// What was on the wire behind an upgrade.
pub(crate) struct Conversation {
    /// What the scenario said about it.
    pub(crate) note: String,
    pub(crate) path: String,
    pub(crate) from_client: Vec<Value>,
    pub(crate) from_server: Vec<Value>,
}

impl Recording {
    pub(crate) fn load(name: &str) -> Self {
        let path = format!("{}/../conformance/recordings/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Self { lines: lines.collect() }
    }

    pub(crate) fn upgrades(&self) -> Vec<Upgrade> {
        let mut note = String::new();
        let mut upgrades = Vec::new();
        let mut request = &Value::Null;
        for line in &self.lines {
            match line["kind"].as_str() {
                Some("note") => note = text(&line["text"]),
                Some("open") => request = line,
                Some("open_response") => upgrades.push(Upgrade {
                    note: note.clone(),
                    method: text(&request["method"]),
                    path: text(&request["path"]),
                    version: match request["version"].as_str() {
                        Some("HTTP/1.0") => Version::HTTP_10,
                        _ => Version::HTTP_11,
                    },
                    request: headers(&request["headers"]),
                    status: line["status"].as_u64().unwrap(),
                    response: headers(&line["headers"]),
                    body: text(&line["body"]),
                }),
                _ => {}
            }
        }
        upgrades
    }

    /// The frames of every upgraded connection, in the order of the connections.
    pub(crate) fn conversations(&self) -> Vec<Conversation> {
        let mut note = String::new();
        let mut conversations: Vec<Conversation> = Vec::new();
        for line in &self.lines {
            match (line["kind"].as_str(), line["dir"].as_str()) {
                (Some("note"), _) => note = text(&line["text"]),
                (Some("open"), _) => conversations.push(Conversation {
                    note: note.clone(),
                    path: text(&line["path"]),
                    from_client: Vec::new(),
                    from_server: Vec::new(),
                }),
                (Some(kind), Some(direction)) if FRAME_KINDS.contains(&kind) => {
                    let conversation = conversations.last_mut().unwrap();
                    match direction {
                        "c2s" => conversation.from_client.push(line.clone()),
                        _ => conversation.from_server.push(line.clone()),
                    }
                }
                _ => {}
            }
        }
        conversations
    }
}

/// The frame a recorded line stands for; an abbreviated payload is replaced by as many `x`.
pub(crate) fn recorded_frame(line: &Value) -> ClientFrame {
    let opcode = match line["kind"].as_str().unwrap() {
        "continuation" => 0,
        "text" => 1,
        "binary" => 2,
        "close" => 8,
        "ping" => 9,
        "pong" => 10,
        _ => number(&line["opcode"], 0),
    };
    let fin = u8::from(line["fin"] != false);
    let rsv = number(&line["rsv"], 0);
    let mut payload = Vec::new();
    if let Some(code) = line["code"].as_u64() {
        payload.extend_from_slice(&u16::try_from(code).unwrap().to_be_bytes());
        payload.extend_from_slice(text(&line["reason"]).as_bytes());
    }
    if let Some(base64) = line["base64"].as_str() {
        payload.extend(BASE64_STANDARD.decode(base64).unwrap());
    }
    if let Some(data) = line["data"].as_str() {
        payload.extend_from_slice(data.as_bytes());
    }
    if let Some(length) = line["length"].as_u64() {
        payload = vec![b'x'; usize::try_from(length).unwrap()];
    }
    ClientFrame { first_byte: fin << 7 | rsv << 4 | opcode, masked: line["masked"] != false, payload }
}

fn headers(pairs: &Value) -> HeaderMap {
    let pairs = pairs.as_array().unwrap();
    pairs
        .iter()
        .map(|pair| {
            let name = HeaderName::try_from(text(&pair[0])).unwrap();
            (name, HeaderValue::try_from(text(&pair[1])).unwrap())
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, default: u8) -> u8 {
    value.as_u64().map_or(default, |number| u8::try_from(number).unwrap())
}

const FRAME_KINDS: [&str; 7] = ["text", "binary", "continuation", "ping", "pong", "close", "unknown_opcode"];

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
