//! Recordings in the format of the conformance suite: one JSON object per line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Method};
use phoenix_client::{ConnectionId, Direction, Incoming, WireEvent};
use serde_json::{Map, Value, json};

use crate::args::Version;

/// A recording in the making.
pub(crate) struct Recorder {
    file: BufWriter<File>,
    start: Instant,
    /// The numbers of the TCP connections: one for a WebSocket, one per method for long polling.
    connections: HashMap<(ConnectionId, Lane), usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    WebSocket,
    Get,
    Post,
}

impl Recorder {
    /// Creates the file, with the line that describes the recording.
    pub(crate) fn create(path: &Path, vsn: Version) -> io::Result<Self> {
        let mut recorder = Self {
            file: BufWriter::new(File::create(path)?),
            start: Instant::now(),
            connections: HashMap::new(),
        };
        recorder.write(&json!({
            "t": 0, "kind": "meta", "scenario": "phx", "desc": "recorded by phx", "vsn": vsn.vsn(),
            "server": {}, "client_lib": concat!("phoenix-client ", env!("CARGO_PKG_VERSION")),
            "varies": ["t", "Sec-WebSocket-Key/Accept", "date header", "longpoll token"],
        }))?;
        Ok(recorder)
    }

    /// Adds what went over the wire. A failure to write ends the recording, not the session.
    pub(crate) fn record(&mut self, connection: ConnectionId, event: &WireEvent<'_>) {
        let (lane, direction, fields) = match event {
            WireEvent::Request { upgrade, request, body } => {
                let kind = if *upgrade { "open" } else { "request" };
                let fields = json!({
                    "kind": kind, "method": request.method().as_str(), "path": request.uri().path(),
                    "query": request.uri().query().unwrap_or_default(), "version": "HTTP/1.1",
                    "headers": headers(request.headers()), "body": String::from_utf8_lossy(body),
                });
                (Lane::of(*upgrade, request.method()), Direction::ToServer, fields)
            }
            WireEvent::Response { method, upgrade, response, body } => {
                let kind = if *upgrade { "open_response" } else { "response" };
                let status = response.status();
                let fields = json!({
                    "kind": kind, "status": status.as_u16(),
                    "reason": status.canonical_reason().unwrap_or_default(), "version": "HTTP/1.1",
                    "headers": headers(response.headers()), "body": String::from_utf8_lossy(body),
                });
                (Lane::of(*upgrade, method), Direction::ToClient, fields)
            }
            WireEvent::Frame { direction, data } => (Lane::WebSocket, *direction, frame(data)),
            WireEvent::Close { direction, code, reason } => {
                let mut fields = json!({ "kind": "close", "code": code });
                if code.is_some() {
                    fields["reason"] = json!(reason);
                }
                (Lane::WebSocket, *direction, fields)
            }
            WireEvent::End => (Lane::WebSocket, Direction::ToClient, json!({ "kind": "tcp_fin" })),
            _ => return,
        };
        let next = self.connections.len() + 1;
        let number = *self.connections.entry((connection, lane)).or_insert(next);
        let transport = if lane == Lane::WebSocket { "websocket" } else { "longpoll" };
        let direction = if direction == Direction::ToServer { "c2s" } else { "s2c" };
        let t = (self.start.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
        let head = json!({
            "t": t, "client": "A", "conn": number, "dir": direction, "transport": transport,
        });
        let mut entry = Map::new();
        for part in [head, fields] {
            if let Value::Object(part) = part {
                entry.extend(part);
            }
        }
        if let Err(error) = self.write(&Value::Object(entry)) {
            eprintln!("phx: the recording is incomplete: {error}");
        }
    }

    fn write(&mut self, line: &Value) -> io::Result<()> {
        writeln!(self.file, "{line}")?;
        self.file.flush()
    }
}

impl Lane {
    fn of(upgrade: bool, method: &Method) -> Self {
        match (upgrade, method) {
            (true, _) => Self::WebSocket,
            (false, &Method::GET) => Self::Get,
            (false, _) => Self::Post,
        }
    }
}

fn headers(headers: &HeaderMap) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}

fn frame(data: &Incoming) -> Value {
    let encode = |data: &Bytes| base64::engine::general_purpose::STANDARD.encode(data);
    match data {
        Incoming::Text(text) => json!({ "kind": "text", "data": text.as_str() }),
        Incoming::Binary(data) => json!({ "kind": "binary", "base64": encode(data) }),
    }
}
