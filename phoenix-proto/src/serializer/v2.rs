use super::{DecodeError, EncodeError, Serializer, binary};
use crate::json::{Kind, Scanner, Span, write_string};
use crate::{Broadcast, Event, Frame, Incoming, Json, Message, Payload, Ref, Reply, Text, Topic};

/// The format of `vsn` 2.0: JSON arrays, and binary frames for binary payloads (protocol §3, §4).
#[derive(Debug, Clone, Copy, Default)]
pub struct V2;

/// The brackets and commas of a message.
const PUNCTUATION: usize = 6;

/// From this length on a payload shares the bytes of its frame; copying a shorter one costs less, and does not pin
/// the rest of the frame.
const SHARED_PAYLOAD: usize = 1024;

impl Serializer for V2 {
    fn name(&self) -> &'static str {
        "Phoenix.Socket.V2.JSONSerializer"
    }

    fn decode(&self, incoming: Incoming) -> Result<Message, DecodeError> {
        match incoming {
            Incoming::Text(text) => decode_text(&text),
            Incoming::Binary(data) => binary::decode_push(&data),
        }
    }

    fn encode_push(&self, message: &Message) -> Result<Frame, EncodeError> {
        match &message.payload {
            Payload::Json(json) if json.is_object() => {
                let (join_ref, reference) = (message.join_ref.as_ref(), message.reference.as_ref());
                let len = refs_len(join_ref, reference)
                    + message.topic.json_len()
                    + message.event.json_len()
                    + json.as_str().len();
                Ok(Frame::text(len + PUNCTUATION, |out| {
                    write_refs(out, join_ref, reference);
                    message.topic.write_json(out);
                    out.push(b',');
                    message.event.write_json(out);
                    out.push(b',');
                    out.extend_from_slice(json.as_str().as_bytes());
                    out.push(b']');
                }))
            }
            Payload::Json(_) => Err(EncodeError::NotAnObject),
            Payload::Binary(data) => binary::encode_push(
                message.join_ref.as_ref(),
                message.topic.as_str(),
                message.event.as_str(),
                data,
            ),
        }
    }

    fn encode_reply(&self, reply: &Reply) -> Result<Frame, EncodeError> {
        match &reply.payload {
            Payload::Json(json) => {
                let (join_ref, reference) = (reply.join_ref.as_ref(), reply.reference.as_ref());
                let len = refs_len(join_ref, reference)
                    + reply.topic.json_len()
                    + REPLY.len()
                    + response_len(reply.status.as_str(), json);
                Ok(Frame::text(len + PUNCTUATION, |out| {
                    write_refs(out, join_ref, reference);
                    reply.topic.write_json(out);
                    out.push(b',');
                    out.extend_from_slice(REPLY);
                    out.push(b',');
                    write_response(out, reply.status.as_str(), json);
                    out.push(b']');
                }))
            }
            Payload::Binary(data) => binary::encode_reply(reply, data),
        }
    }

    fn encode_broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        match &broadcast.payload {
            Payload::Json(json) if json.is_object() => {
                let names = broadcast.topic.len() + broadcast.event.len() + 2 * QUOTES;
                let len = refs_len(None, None) + names + json.as_str().len();
                Ok(Frame::text(len + PUNCTUATION, |out| {
                    write_refs(out, None, None);
                    write_string(out, &broadcast.topic);
                    out.push(b',');
                    write_string(out, &broadcast.event);
                    out.push(b',');
                    out.extend_from_slice(json.as_str().as_bytes());
                    out.push(b']');
                }))
            }
            Payload::Json(_) => Err(EncodeError::NotAnObject),
            Payload::Binary(data) => binary::encode_broadcast(&broadcast.topic, &broadcast.event, data),
        }
    }
}

const QUOTES: usize = 2;

const REPLY: &[u8] = b"\"phx_reply\"";

/// Length of what [`write_response`] appends, if the status has nothing to escape.
fn response_len(status: &str, response: &Json) -> usize {
    br#"{"status":"","response":}"#.len() + status.len() + response.as_str().len()
}

/// `{"status":…,"response":…}`, which replies of both versions have as payload.
pub(super) fn write_response(out: &mut Vec<u8>, status: &str, response: &Json) {
    out.extend_from_slice(b"{\"status\":");
    write_string(out, status);
    out.extend_from_slice(b",\"response\":");
    out.extend_from_slice(response.as_str().as_bytes());
    out.push(b'}');
}

/// A reference as it stands in JSON.
pub(super) fn write_ref(out: &mut Vec<u8>, reference: Option<&Ref>) {
    out.extend_from_slice(reference.map_or("null", Ref::as_json).as_bytes());
}

/// The reference at a span.
pub(super) fn read_ref(text: &Text, span: Span) -> Option<Ref> {
    (span.kind != Kind::Null).then(|| Ref::from_json(read_json(text, span)))?
}

/// The JSON value at a span.
pub(super) fn read_json(text: &Text, span: Span) -> Json {
    Json::trusted(text.slice_ref(span.of(text)))
}

/// The payload at a span.
pub(super) fn read_payload(text: &Text, span: Span) -> Json {
    let json = span.of(text);
    Json::trusted(if json.len() < SHARED_PAYLOAD { json.into() } else { text.slice_ref(json) })
}

/// The topic at a span.
pub(super) fn read_topic(text: &Text, span: Span) -> Topic {
    match span.kind {
        Kind::String { escaped: false } => text.slice_ref(span.inner(text)).into(),
        _ => Topic::from_json(read_json(text, span)),
    }
}

/// The event at a span.
pub(super) fn read_event(text: &Text, span: Span) -> Event {
    match span.kind {
        Kind::String { escaped: false } => text.slice_ref(span.inner(text)).into(),
        _ => Event::from_json(read_json(text, span)),
    }
}

fn refs_len(join_ref: Option<&Ref>, reference: Option<&Ref>) -> usize {
    let len = |reference: Option<&Ref>| reference.map_or("null", Ref::as_json).len();
    len(join_ref) + len(reference)
}

fn write_refs(out: &mut Vec<u8>, join_ref: Option<&Ref>, reference: Option<&Ref>) {
    out.push(b'[');
    write_ref(out, join_ref);
    out.push(b',');
    write_ref(out, reference);
    out.push(b',');
}

fn decode_text(text: &Text) -> Result<Message, DecodeError> {
    let mut scanner = Scanner::new(text);
    scanner.punctuation(b'[', "an array")?;
    let mut element = |last: bool| {
        let span = scanner.value()?;
        if !last {
            scanner.punctuation(b',', "',' and five elements")?;
        }
        Ok::<_, DecodeError>(span)
    };
    let message = Message {
        join_ref: read_ref(text, element(false)?),
        reference: read_ref(text, element(false)?),
        topic: read_topic(text, element(false)?),
        event: read_event(text, element(false)?),
        payload: Payload::Json(read_payload(text, element(true)?)),
    };
    while scanner.try_punctuation(b',') {
        scanner.value()?;
    }
    scanner.punctuation(b']', "',' or ']'")?;
    scanner.end()?;
    Ok(message)
}
