//! Recordings written by hand, in a form for people.
//!
//! ```text
//! # What this is about.
//! A open /socket/websocket?vsn=2.0.0 | x-header: value
//! A < 101
//! A > ["1","1","echo:a","phx_join",{}]
//! A + [null,"2","phoenix","heartbeat",{}]
//! A < ["1","1","echo:a","phx_reply",{"response":{},"status":"ok"}]
//! A ># 00 01 00 06 02 '1' 'echo:a' 'ok'
//! A > close 1000
//! A < end
//! ctl broadcast {"topic":"echo:a","event":"x"}
//! B get /socket/longpoll?vsn=2.0.0
//! B < 200 = {"messages":[],"status":410,"token":"T"}
//! B post /socket/longpoll?token=T | content-type: application/x-ndjson = ["1","1","echo:b","phx_join",{}]␤["1","2","echo:b","ok",{}]
//! B < 200 = {"status":200}
//! ```
//!
//! `>` is the client and `<` the server; `+` is sent in the same segment as the line before; `#` stands for binary data,
//! as hexadecimal bytes and texts. An answer may go on with headers, and with a body behind `=`. Requests of a client go over
//! one connection, `␤` ends a line of a body, and an answer with a body has the headers of long polling unless it has others.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phoenix_conformance::recording::Recording;
use serde_json::{Value, json};

/// The handshake of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Milliseconds between two lines: more than what makes a segment, less than what counts as a pause.
const STEP: f64 = 0.2;

/// Milliseconds around a control call.
const CALL: f64 = 20.0;

pub(crate) fn parse(name: &str, text: &str) -> Recording {
    let mut writer =
        Writer { t: 0.0, connections: BTreeMap::new(), paths: BTreeMap::new(), lines: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let done = match line.strip_prefix("ctl ") {
            Some(call) => writer.ctl(call),
            None => writer.line(line),
        };
        done.unwrap_or_else(|| panic!("{name}:{}: {line}", number + 1));
    }
    Recording::parse(name, writer.lines.iter().map(String::as_str)).unwrap()
}

struct Writer {
    t: f64,
    /// The number of the current connection of each client.
    connections: BTreeMap<String, usize>,
    /// What each client asked for last by a plain request.
    paths: BTreeMap<String, String>,
    lines: Vec<String>,
}

impl Writer {
    fn ctl(&mut self, call: &str) -> Option<()> {
        let (action, request) = call.split_once(' ')?;
        let request: Value = serde_json::from_str(request).ok()?;
        self.t += CALL;
        self.push(json!({"kind": "note", "text": "a call"}));
        self.push(json!({"kind": "ctl", "action": action, "request": request, "response": {}}));
        Some(())
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (client, rest) = line.split_once(' ')?;
        let (mark, what) = rest.split_once(' ')?;
        match mark {
            "open" => {
                self.connect(client);
                return self.open(client, what);
            }
            "get" | "post" | "options" | "delete" => {
                if !self.connections.contains_key(client) {
                    self.connect(client);
                }
                return self.request(client, &mark.to_uppercase(), what);
            }
            _ => {}
        }
        let (dir, together) = match mark.trim_end_matches('#') {
            ">" => ("c2s", false),
            "+" => ("c2s", true),
            "<" => ("s2c", false),
            _ => return None,
        };
        let event = match what.split_once(' ').unwrap_or((what, "")) {
            _ if mark.ends_with('#') => json!({"kind": "binary", "base64": STANDARD.encode(bytes(what)?)}),
            ("end", _) => json!({"kind": "tcp_fin"}),
            ("reset", _) => json!({"kind": "tcp_rst"}),
            ("close", "") => json!({"kind": "close", "code": null, "reason": ""}),
            ("close", code) => json!({"kind": "close", "code": code.parse::<u16>().ok()?, "reason": ""}),
            (status, _) if status.len() == 3 && status.parse::<u16>().is_ok() => {
                let (status, rest) = (status.parse().ok()?, &what[status.len()..]);
                match self.path(client) {
                    Some(path) => response(status, rest, path),
                    None => answer(status, rest),
                }
            }
            _ => json!({"kind": "text", "data": what}),
        };
        if together {
            self.t -= STEP;
        }
        self.wire(client, dir, event)
    }

    fn open(&mut self, client: &str, request: &str) -> Option<()> {
        let (target, headers) = request.split_once(" | ").unwrap_or((request, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut lines = vec![
            json!(["Host", "127.0.0.1:4000"]),
            json!(["Upgrade", "websocket"]),
            json!(["Connection", "Upgrade"]),
            json!(["Sec-WebSocket-Key", KEY]),
            json!(["Sec-WebSocket-Version", "13"]),
        ];
        lines.extend(header_lines(headers));
        self.wire(
            client,
            "c2s",
            json!({"kind": "open", "method": "GET", "path": path, "query": query, "version": "HTTP/1.1",
                "headers": lines, "body": ""}),
        )
    }

    fn request(&mut self, client: &str, method: &str, request: &str) -> Option<()> {
        let (request, body) = request.split_once(" = ").unwrap_or((request, ""));
        let (target, headers) = request.split_once(" | ").unwrap_or((request, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = body.replace('␤', "\n");
        let mut lines = vec![json!(["Host", "127.0.0.1:4000"])];
        if method == "POST" {
            lines.push(json!(["Content-Length", body.len().to_string()]));
        }
        lines.extend(header_lines(headers));
        self.paths.insert(client.to_owned(), path.to_owned());
        self.wire(
            client,
            "c2s",
            json!({"kind": "request", "method": method, "path": path, "query": query, "version": "HTTP/1.1",
                "headers": lines, "body": body}),
        )
    }

    fn connect(&mut self, client: &str) {
        let next = self.connections.values().max().copied().unwrap_or_default() + 1;
        self.connections.insert(client.to_owned(), next);
    }

    /// What the client asked for last, if it does not talk over a WebSocket.
    fn path(&self, client: &str) -> Option<&str> {
        self.paths.get(client).map(String::as_str)
    }

    fn wire(&mut self, client: &str, dir: &str, mut event: Value) -> Option<()> {
        event["client"] = client.into();
        event["conn"] = (*self.connections.get(client)?).into();
        event["dir"] = dir.into();
        event["transport"] = match self.path(client) {
            None => "websocket".into(),
            Some(path) if path.starts_with("/ctl/") => "http".into(),
            Some(_) => "longpoll".into(),
        };
        self.push(event);
        Some(())
    }

    fn push(&mut self, mut line: Value) {
        line["t"] = self.t.into();
        self.t += STEP;
        self.lines.push(line.to_string());
    }
}

fn answer(status: u16, rest: &str) -> Value {
    let (headers, body) = rest.split_once(" = ").unwrap_or((rest, ""));
    let mut lines = vec![json!(["cache-control", "max-age=0, private, must-revalidate"])];
    if status == 101 {
        lines.push(json!(["sec-websocket-accept", ACCEPT]));
    }
    lines.extend(header_lines(headers));
    json!({"kind": "open_response", "status": status, "reason": "", "version": "HTTP/1.1",
        "headers": lines, "body": body.trim()})
}

/// The answer to a plain request.
fn response(status: u16, rest: &str, path: &str) -> Value {
    let (headers, body) = rest.split_once(" = ").unwrap_or((rest, ""));
    let mut lines: Vec<_> = header_lines(headers).collect();
    let mut default = |name: &str, value: &str| {
        if !lines.iter().any(|line| line[0] == name) {
            lines.push(json!([name, value]));
        }
    };
    let polls = !path.starts_with("/ctl/") && status == 200 && !body.is_empty();
    default("cache-control", if polls { "no-store" } else { "max-age=0, private, must-revalidate" });
    if !body.is_empty() {
        default("content-type", "application/json; charset=utf-8");
    }
    if polls {
        default("access-control-allow-origin", "*");
    }
    json!({"kind": "response", "status": status, "reason": "", "version": "HTTP/1.1",
        "headers": lines, "body": body.trim()})
}

/// `name: value | name: value`
fn header_lines(text: &str) -> impl Iterator<Item = Value> {
    text.split(" | ").filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some(json!([name.trim(), value.trim()]))
    })
}

/// `00 ff 'text'`
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        match word.strip_prefix('\'') {
            Some(quoted) => bytes.extend_from_slice(quoted.strip_suffix('\'')?.as_bytes()),
            None => bytes.push(u8::from_str_radix(word, 16).ok()?),
        }
    }
    Some(bytes)
}
