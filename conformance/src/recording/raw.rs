//! A line of a recording as it stands in the file, and its translation from and to [`Entry`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{
    App, Conn, Ctl, DirectHttp, Direction, Entry, Event, Fin, Frame, Item, Meta, PartialFrame, Request,
    Response, Transport, Wire, close_payload,
};
use super::payload::{Abbreviated, Payload, from_base64, to_base64};

/// All fields any kind of line has, in the order in which they are written.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    t: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<Conn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<Transport>,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vsn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_lib: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    varies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opcode: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rsv: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire_length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid_utf8: Option<bool>,
    #[serde(skip_serializing_if = "is_absent", deserialize_with = "maybe_null")]
    code: Nullable<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<(String, String)>>,
    #[serde(flatten)]
    blob: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_blob: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_gunzipped: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inflated: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_frame: Option<PartialFrame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unparsed_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Value>,
}

/// The fields that hold a payload: text, base64, or an abbreviation of either.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Blob {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abbreviated: Option<bool>,
}

/// A field that is absent, `null` or has a value: a close frame without a code has `null`.
#[derive(Default, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
enum Nullable<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

fn is_absent<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

fn maybe_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Nullable<u16>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map_or(Nullable::Null, Nullable::Value))
}

/// Keeps a `null` apart from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Blob {
    fn payload(&self) -> Option<Payload> {
        if self.abbreviated == Some(true) {
            let head = match (&self.head, &self.head_base64) {
                (Some(text), _) => Bytes::from(text.clone()),
                (None, Some(base64)) => from_base64(base64)?,
                (None, None) => return None,
            };
            return Some(Payload::Abbreviated(Abbreviated {
                length: self.length?,
                sha256: self.sha256.clone()?,
                head,
            }));
        }
        if let Some(base64) = &self.base64 {
            return from_base64(base64).map(Payload::Whole);
        }
        Some(Payload::Whole(Bytes::from(self.data.as_ref()?.as_str()?.to_owned())))
    }

    fn text_or_base64(payload: &Payload) -> Self {
        match payload {
            Payload::Whole(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self { data: Some(text.into()), ..Self::default() },
                Err(_) => Self::base64(payload),
            },
            Payload::Abbreviated(short) => {
                let text = std::str::from_utf8(&short.head).ok().map(str::to_owned);
                Self {
                    head_base64: text.is_none().then(|| to_base64(&short.head)),
                    head: text,
                    ..Self::base64(payload)
                }
            }
        }
    }

    fn base64(payload: &Payload) -> Self {
        match payload {
            Payload::Whole(bytes) => Self { base64: Some(to_base64(bytes)), ..Self::default() },
            Payload::Abbreviated(short) => Self {
                length: Some(short.length),
                sha256: Some(short.sha256.clone()),
                head_base64: Some(to_base64(&short.head)),
                abbreviated: Some(true),
                ..Self::default()
            },
        }
    }
}

impl Raw {
    /// The line as a type; a line without its necessary fields is [`Item::Other`].
    pub(super) fn into_entry(self, value: Value) -> Entry {
        let t = self.t;
        Entry { t, item: self.into_item().unwrap_or(Item::Other(value)) }
    }

    fn into_item(self) -> Option<Item> {
        if self.dir.is_some() {
            return Some(Item::Wire(Wire {
                client: self.client.clone()?,
                conn: self.conn?,
                dir: self.dir?,
                transport: self.transport?,
                event: self.into_event()?,
            }));
        }
        match self.kind.as_str() {
            "meta" => Some(Item::Meta(Meta {
                scenario: self.scenario?,
                desc: self.desc.unwrap_or_default(),
                vsn: self.vsn,
                server: self.server.unwrap_or_default(),
                client_lib: self.client_lib,
                varies: self.varies.unwrap_or_default(),
            })),
            "ctl" => Some(Item::Ctl(Ctl {
                action: self.action?,
                request: self.request?,
                response: self.response.unwrap_or_default(),
            })),
            "direct_http" => Some(Item::DirectHttp(DirectHttp {
                request: self.request?,
                response: self.response.unwrap_or_default(),
            })),
            "note" => self.text.map(Item::Note),
            "app" => Some(Item::App(App { client: self.client?, event: self.event?, data: self.blob.data })),
            "server_log" => self.entries.map(Item::ServerLog),
            _ => None,
        }
    }

    fn into_event(self) -> Option<Event> {
        let event = match self.kind.as_str() {
            "open" | "request" => Event::Request(Request {
                body: self.http_body()?,
                method: self.method?,
                path: self.path?,
                query: self.query.unwrap_or_default(),
                version: self.version?,
                headers: self.headers?,
            }),
            "open_response" | "response" => Event::Response(Response {
                body: self.http_body()?,
                gunzipped: self.body_gunzipped.as_ref().and_then(Blob::payload),
                status: self.status?,
                reason: self.reason.unwrap_or_default(),
                version: self.version?,
                headers: self.headers?,
            }),
            "tcp_fin" => {
                Event::Fin(Fin { partial_frame: self.partial_frame, unparsed_bytes: self.unparsed_bytes })
            }
            "tcp_rst" => Event::Rst,
            "tcp_error" => Event::Error(self.error?),
            _ => Event::Frame(self.frame()?),
        };
        Some(event)
    }

    fn http_body(&self) -> Option<Payload> {
        match &self.body_blob {
            Some(blob) => blob.payload(),
            None => Some(Payload::Whole(Bytes::from(self.body.clone().unwrap_or_default()))),
        }
    }

    fn frame(&self) -> Option<Frame> {
        let opcode = match self.kind.as_str() {
            "continuation" => Frame::CONTINUATION,
            "text" => Frame::TEXT,
            "binary" => Frame::BINARY,
            "close" => Frame::CLOSE,
            "ping" => Frame::PING,
            "pong" => Frame::PONG,
            "unknown_opcode" => self.opcode?,
            _ => return None,
        };
        let payload = if opcode == Frame::CLOSE {
            let Nullable::Value(code) = self.code else {
                return Some(self.frame_of(opcode, self.blob.payload().unwrap_or(Payload::EMPTY)));
            };
            let rest = match &self.blob.base64 {
                Some(base64) => from_base64(base64)?,
                None => Bytes::from(self.reason.clone().unwrap_or_default()),
            };
            Payload::Whole(close_payload(Some(code), &rest))
        } else {
            self.blob.payload()?
        };
        Some(self.frame_of(opcode, payload))
    }

    fn frame_of(&self, opcode: u8, payload: Payload) -> Frame {
        let usually_masked = self.dir == Some(Direction::ClientToServer);
        Frame {
            opcode,
            fin: self.fin.unwrap_or(true),
            rsv: self.rsv.unwrap_or(0),
            masked: self.masked.unwrap_or(usually_masked),
            payload,
            inflated: self.inflated.as_ref().and_then(Blob::payload),
        }
    }

    /// The line of an entry; `None` for [`Item::Other`], which is its own line.
    pub(super) fn from_entry(entry: &Entry) -> Option<Self> {
        let t = entry.t;
        let raw = match entry.item.clone() {
            Item::Meta(meta) => Self {
                kind: "meta".into(),
                scenario: Some(meta.scenario),
                desc: Some(meta.desc),
                vsn: meta.vsn,
                server: Some(meta.server),
                client_lib: meta.client_lib,
                varies: Some(meta.varies),
                ..Self::default()
            },
            Item::Wire(wire) => Self::from_wire(wire),
            Item::Ctl(ctl) => Self {
                kind: "ctl".into(),
                action: Some(ctl.action),
                request: Some(ctl.request),
                response: Some(ctl.response),
                ..Self::default()
            },
            Item::DirectHttp(http) => Self {
                kind: "direct_http".into(),
                request: Some(http.request),
                response: Some(http.response),
                ..Self::default()
            },
            Item::Note(text) => Self { kind: "note".into(), text: Some(text), ..Self::default() },
            Item::App(app) => Self {
                kind: "app".into(),
                client: Some(app.client),
                event: Some(app.event),
                blob: Blob { data: app.data, ..Blob::default() },
                ..Self::default()
            },
            Item::ServerLog(entries) => {
                Self { kind: "server_log".into(), entries: Some(entries), ..Self::default() }
            }
            Item::Other(_) => return None,
        };
        Some(Self { t, ..raw })
    }

    fn from_wire(wire: Wire) -> Self {
        let upgrade = wire.transport == Transport::Websocket;
        let raw = match wire.event {
            Event::Request(request) => Self {
                kind: if upgrade { "open" } else { "request" }.into(),
                method: Some(request.method),
                path: Some(request.path),
                query: Some(request.query),
                version: Some(request.version),
                headers: Some(request.headers),
                body: request.body.text().map(str::to_owned),
                body_blob: request.body.text().is_none().then(|| Blob::base64(&request.body)),
                ..Self::default()
            },
            Event::Response(response) => {
                let text = response.body.text().filter(|_| response.gunzipped.is_none()).map(str::to_owned);
                Self {
                    kind: if upgrade { "open_response" } else { "response" }.into(),
                    status: Some(response.status),
                    reason: Some(response.reason),
                    version: Some(response.version),
                    headers: Some(response.headers),
                    body_blob: text.is_none().then(|| Blob::base64(&response.body)),
                    body: text,
                    body_gunzipped: response.gunzipped.as_ref().map(Blob::text_or_base64),
                    ..Self::default()
                }
            }
            Event::Frame(frame) => Self::from_frame(&frame, wire.dir),
            Event::Fin(fin) => Self {
                kind: "tcp_fin".into(),
                partial_frame: fin.partial_frame,
                unparsed_bytes: fin.unparsed_bytes,
                ..Self::default()
            },
            Event::Rst => Self { kind: "tcp_rst".into(), ..Self::default() },
            Event::Error(error) => Self { kind: "tcp_error".into(), error: Some(error), ..Self::default() },
        };
        Self {
            client: Some(wire.client),
            conn: Some(wire.conn),
            dir: Some(wire.dir),
            transport: Some(wire.transport),
            ..raw
        }
    }

    fn from_frame(frame: &Frame, dir: Direction) -> Self {
        let compressed = frame.rsv & 4 != 0 && matches!(frame.opcode, Frame::TEXT | Frame::BINARY);
        let usually_masked = dir == Direction::ClientToServer;
        let mut raw = Self {
            kind: match frame.opcode {
                Frame::CONTINUATION => "continuation",
                Frame::TEXT => "text",
                Frame::BINARY => "binary",
                Frame::CLOSE => "close",
                Frame::PING => "ping",
                Frame::PONG => "pong",
                _ => "unknown_opcode",
            }
            .into(),
            fin: (!frame.fin).then_some(false),
            rsv: (frame.rsv != 0).then_some(frame.rsv),
            masked: (frame.masked != usually_masked).then_some(frame.masked),
            compressed: compressed.then_some(true),
            wire_length: compressed.then(|| frame.payload.len()),
            inflated: frame.inflated.as_ref().map(Blob::text_or_base64),
            ..Self::default()
        };
        match frame.opcode {
            Frame::CLOSE => raw.set_close(frame),
            Frame::TEXT | Frame::CONTINUATION if !compressed => {
                raw.blob = Blob::text_or_base64(&frame.payload);
                raw.invalid_utf8 = raw.blob.base64.is_some().then_some(true);
            }
            Frame::TEXT | Frame::CONTINUATION | Frame::BINARY | Frame::PING | Frame::PONG => {
                raw.blob = Blob::base64(&frame.payload);
            }
            opcode => {
                raw.opcode = Some(opcode);
                raw.blob = Blob::base64(&frame.payload);
            }
        }
        raw
    }

    fn set_close(&mut self, frame: &Frame) {
        let Some(code) = frame.close_code() else {
            self.code = Nullable::Null;
            self.blob.base64 =
                frame.payload.whole().filter(|bytes| !bytes.is_empty()).map(|bytes| to_base64(bytes));
            return;
        };
        self.code = Nullable::Value(code);
        let rest = frame.payload.whole().map(|bytes| bytes.slice(2..)).unwrap_or_default();
        if let Ok(reason) = std::str::from_utf8(&rest) {
            self.reason = Some(reason.to_owned());
        } else {
            self.invalid_utf8 = Some(true);
            self.blob.base64 = Some(to_base64(&rest));
        }
    }
}
