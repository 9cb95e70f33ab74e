//! From a line of the file to an entry.

use bytes::Bytes;

use super::{Blob, Nullable, Raw};
use crate::recording::entry::{
    App, Ctl, DirectHttp, Direction, Entry, Event, Fin, Frame, Item, Meta, Request, Response, Wire,
    close_payload,
};
use crate::recording::payload::{Payload, from_base64};

impl Raw {
    /// The line as a type; a line of an unknown kind, or without its necessary fields, is [`Item::Other`].
    pub(in crate::recording) fn into_entry(self, text: &str) -> serde_json::Result<Entry> {
        let t = self.t;
        let item = match self.into_item() {
            Some(item) => item,
            None => Item::Other(serde_json::from_str(text)?),
        };
        Ok(Entry { t, item })
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
}
