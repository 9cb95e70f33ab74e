//! From an entry to a line of the file.

use super::{Blob, Nullable, Raw};
use crate::recording::entry::{Direction, Entry, Event, Frame, Item, Transport, Wire};
use crate::recording::payload::to_base64;

impl Raw {
    /// The line of an entry; `None` for [`Item::Other`], which is its own line.
    pub(in crate::recording) fn from_entry(entry: &Entry) -> Option<Self> {
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
