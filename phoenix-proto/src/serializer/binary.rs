//! The binary frames of V2 (protocol §4): one byte of kind, one length byte per field, the fields, the data.

use bytes::Bytes;

use super::{DecodeError, EncodeError};
use crate::{Frame, Message, Payload, Ref, Reply, Text, Topic};

const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

/// Decodes what a client pushes: kind 0 with join_ref, ref, topic and event.
///
/// Empty references count as null, so that a binary push without a join_ref is not stale.
pub(super) fn decode_push(data: &Bytes) -> Result<Message, DecodeError> {
    let &[kind, ref lengths @ ..] = &**data else { return Err(DecodeError::Truncated) };
    if kind != PUSH {
        return Err(DecodeError::UnknownKind(kind));
    }
    let lengths: [u8; 4] = lengths.first_chunk().copied().ok_or(DecodeError::Truncated)?;
    let mut rest = data.slice(5..);
    if rest.len() < lengths.iter().copied().map(usize::from).sum() {
        return Err(DecodeError::Truncated);
    }
    let [join_ref, reference, topic, event] = lengths.map(|len| rest.split_to(usize::from(len)));

    let text = |field, bytes, channel| {
        Text::from_utf8(bytes).map_err(|_| DecodeError::FieldNotUtf8 { field, channel })
    };
    let topic = Topic::from(text("topic", topic, None)?);
    let join_ref = optional_ref(&lossy(&join_ref));
    let channel = Some((topic.clone(), join_ref.clone()));
    let reference = optional_ref(&text("ref", reference, channel)?);
    let event = lossy(&event).into();
    Ok(Message { join_ref, reference, topic, event, payload: Payload::Binary(rest) })
}

/// Encodes a push from the server, which has no `ref` field.
pub(super) fn encode_push(
    join_ref: Option<&Ref>,
    topic: &str,
    event: &str,
    data: &[u8],
) -> Result<Frame, EncodeError> {
    let join_ref = ref_text("join_ref", join_ref)?;
    encode(PUSH, &[("join_ref", &join_ref), ("topic", topic), ("event", event)], data)
}

/// Encodes a reply.
pub(super) fn encode_reply(reply: &Reply, data: &[u8]) -> Result<Frame, EncodeError> {
    let join_ref = ref_text("join_ref", reply.join_ref.as_ref())?;
    let reference = ref_text("ref", reply.reference.as_ref())?;
    encode(
        REPLY,
        &[
            ("join_ref", &join_ref),
            ("ref", &reference),
            ("topic", reply.topic.as_str()),
            ("status", reply.status.as_str()),
        ],
        data,
    )
}

/// Encodes a broadcast, which has no references.
pub(super) fn encode_broadcast(topic: &str, event: &str, data: &[u8]) -> Result<Frame, EncodeError> {
    encode(BROADCAST, &[("topic", topic), ("event", event)], data)
}

fn encode(kind: u8, fields: &[(&'static str, &str)], data: &[u8]) -> Result<Frame, EncodeError> {
    let mut lengths = [0; 4];
    for (length, (field, text)) in lengths.iter_mut().zip(fields) {
        *length =
            u8::try_from(text.len()).map_err(|_| EncodeError::FieldTooLong { field, len: text.len() })?;
    }
    let capacity = 1 + fields.iter().map(|(_, text)| 1 + text.len()).sum::<usize>() + data.len();
    Ok(Frame::binary(capacity, |out| {
        out.push(kind);
        out.extend_from_slice(&lengths[..fields.len()]);
        for (_, text) in fields {
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(data);
    }))
}

/// What is not UTF-8 equals no stored `join_ref` and no event that a handler knows, and neither is echoed:
/// replacement characters keep both properties.
fn lossy(bytes: &Bytes) -> Text {
    Text::from_utf8(bytes.clone()).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

fn optional_ref(text: &Text) -> Option<Ref> {
    (!text.is_empty()).then(|| Ref::string(text))
}

/// A reference as a field of a header, empty for null.
pub(crate) fn ref_text(field: &'static str, reference: Option<&Ref>) -> Result<Text, EncodeError> {
    match reference {
        Some(reference) => reference.to_text().ok_or(EncodeError::CompoundRef { field }),
        None => Ok(Text::default()),
    }
}
