//! The lines of a recording as types.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::payload::Payload;

/// One line of a recording: what was seen, and when.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Milliseconds since the start of the recording.
    pub t: f64,
    /// What was seen.
    pub item: Item,
}

impl Entry {
    /// A line of its own making, for a recorder.
    pub fn new(t: f64, item: Item) -> Self {
        Self { t, item }
    }
}

/// What a line of a recording can be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// The first line: what was recorded, and against what.
    Meta(Meta),
    /// Something on the wire.
    Wire(Wire),
    /// A call of the control interface that made the server act.
    Ctl(Ctl),
    /// An HTTP request that was made around the proxy.
    DirectHttp(DirectHttp),
    /// What the scenario does next, for people to read.
    Note(String),
    /// What the client library reported to its application.
    App(App),
    /// What the server logged.
    ServerLog(Value),
    /// A kind of line this version does not know; it is kept as it is.
    Other(Value),
}

/// The first line of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Meta {
    /// Name of the scenario.
    pub scenario: String,
    /// What the scenario shows, in a sentence.
    pub desc: String,
    /// Protocol version the client asked for, when there is only one.
    pub vsn: Option<String>,
    /// Versions of the server's parts.
    pub server: Value,
    /// Name and version of the client.
    pub client_lib: Option<String>,
    /// What differs from run to run, in words.
    pub varies: Vec<String>,
}

/// Something seen on a TCP connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Wire {
    /// Label of the client, `A`, `B` …
    pub client: String,
    /// The TCP connection.
    pub conn: Conn,
    /// Who sent it.
    pub dir: Direction,
    /// What the connection is used for.
    pub transport: Transport,
    /// What was sent.
    pub event: Event,
}

impl Wire {
    /// A wire event of its own making, for a recorder.
    pub fn new(client: String, conn: Conn, dir: Direction, transport: Transport, event: Event) -> Self {
        Self { client, conn, dir, transport, event }
    }
}

/// Number of a TCP connection within a recording, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conn(pub u32);

impl fmt::Display for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who sent an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// The client.
    #[serde(rename = "c2s")]
    ClientToServer,
    /// The server.
    #[serde(rename = "s2c")]
    ServerToClient,
}

/// What a connection is used for at the moment of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSocket, its upgrade request included.
    Websocket,
    /// Requests of the long-poll transport.
    Longpoll,
    /// Any other HTTP.
    Http,
    /// Nothing was sent on the connection.
    Tcp,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An HTTP request (`open` on a WebSocket path, `request` on others).
    Request(Request),
    /// An HTTP response (`open_response` or `response`).
    Response(Response),
    /// A WebSocket frame, valid or not.
    Frame(Frame),
    /// The end of this direction of the connection.
    Fin(Fin),
    /// The connection was reset.
    Rst,
    /// The operating system reported an error, for example `ECONNREFUSED`.
    Error(String),
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method as sent.
    pub method: String,
    /// Path as sent, without the query.
    pub path: String,
    /// Query as sent, without the question mark; empty for none.
    pub query: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Headers in order and case as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Payload,
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Headers in order and case as sent.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer encoding.
    pub body: Payload,
    /// The body without its gzip encoding, when it has one.
    pub gunzipped: Option<Payload>,
}

impl Response {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body without transfer and content encodings.
    pub fn content(&self) -> &Payload {
        self.gunzipped.as_ref().unwrap_or(&self.body)
    }
}

impl Request {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A WebSocket frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The four bits of the opcode.
    pub opcode: u8,
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// The reserved bits: 4, 2 and 1.
    pub rsv: u8,
    /// Whether the payload was masked on the wire.
    pub masked: bool,
    /// The payload as on the wire, unmasked.
    pub payload: Payload,
    /// The payload without its compression, when it could be inflated.
    pub inflated: Option<Payload>,
}

impl Frame {
    /// Opcode of a continuation frame.
    pub const CONTINUATION: u8 = 0;
    /// Opcode of a text frame.
    pub const TEXT: u8 = 1;
    /// Opcode of a binary frame.
    pub const BINARY: u8 = 2;
    /// Opcode of a close frame.
    pub const CLOSE: u8 = 8;
    /// Opcode of a ping.
    pub const PING: u8 = 9;
    /// Opcode of a pong.
    pub const PONG: u8 = 10;

    /// The message content: inflated when it was compressed.
    pub fn content(&self) -> &Payload {
        self.inflated.as_ref().unwrap_or(&self.payload)
    }

    /// The status code of a close frame; `None` for an empty payload.
    pub fn close_code(&self) -> Option<u16> {
        let payload = self.payload.whole()?;
        Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]))
    }
}

/// How a direction of a connection ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fin {
    /// The header and some of the payload of a frame that never became complete.
    pub partial_frame: Option<PartialFrame>,
    /// Number of bytes before the end that were not even a frame header.
    pub unparsed_bytes: Option<usize>,
}

/// A frame that was never completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialFrame {
    /// The opcode.
    pub opcode: u8,
    /// Payload length its header announced.
    pub declared_length: u64,
    /// Number of payload bytes that did arrive.
    pub have: usize,
}

/// A call of `/ctl/…` on the server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ctl {
    /// Last segment of the path.
    pub action: String,
    /// JSON body of the POST.
    pub request: Value,
    /// What the server answered.
    pub response: Value,
}

/// An HTTP request around the proxy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DirectHttp {
    /// Method, `path` with query, headers and body, in JSON.
    pub request: Value,
    /// Status, headers and body, in JSON.
    pub response: Value,
}

/// What the client library reported.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct App {
    /// Label of the client.
    pub client: String,
    /// What happened, in words.
    pub event: String,
    /// Details.
    pub data: Option<Value>,
}

/// Payload of a close frame.
pub(super) fn close_payload(code: Option<u16>, rest: &[u8]) -> Bytes {
    let mut payload = code.map(u16::to_be_bytes).map(Vec::from).unwrap_or_default();
    payload.extend_from_slice(rest);
    payload.into()
}
