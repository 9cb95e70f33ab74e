//! Requests, and what comes back.

use serde::Deserialize;

use crate::load::Target;
use crate::load::net::{ConnId, Net};
use crate::load::outgoing::JOIN_REF;
use crate::wire::message::{self, Field};

/// Where requests go to.
pub(super) struct Wire {
    host: String,
    path: String,
    seq: Field,
}

/// The body of every response; protocol §15.3.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) token: Option<String>,
    #[serde(default)]
    pub(super) messages: Vec<String>,
}

impl Wire {
    pub(super) fn new(target: &Target) -> Self {
        Self { host: target.address.to_string(), path: target.longpoll_path(), seq: Field::new("\"seq\"") }
    }

    pub(super) fn get(&self, net: &mut Net, conn: ConnId, token: &str) {
        let target = self.target(token);
        let host = &self.host;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n");
        net.send_raw(conn, request.as_bytes());
    }

    pub(super) fn post(&self, net: &mut Net, conn: ConnId, token: &str, line: &[u8]) {
        let target = self.target(token);
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            line.len()
        );
        net.send_raw(conn, &[head.as_bytes(), line].concat());
    }

    fn target(&self, token: &str) -> String {
        let separator = if token.is_empty() { "" } else { "&token=" };
        format!("{}{separator}{token}", self.path)
    }

    /// Whether the answer holds one reply: that to the join, or to the echo of this number.
    pub(super) fn is_reply(&self, answer: &Answer, seq: Option<u64>) -> bool {
        let [text] = &answer.messages[..] else { return false };
        let Some(message) = message::parse(text.as_bytes()) else { return false };
        message.event == b"phx_reply"
            && message::is_ok(message.payload)
            && message::number(message.reference) == Some(JOIN_REF + seq.unwrap_or(0))
            && self.seq.read(message.payload) == seq
    }
}

impl Answer {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}
