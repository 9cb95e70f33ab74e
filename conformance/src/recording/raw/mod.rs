//! A line of a recording as it stands in the file, and its translation from and to `Entry`.

mod read;
mod write;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Conn, Direction, PartialFrame, Transport};
use super::payload::{Abbreviated, Payload, from_base64, to_base64};

/// All fields any kind of line has, in the order in which they are written.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::recording) struct Raw {
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
