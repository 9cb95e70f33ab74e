//! The binary frames of V2 from the client's side (protocol §4).

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::Received;
use crate::serializer::ref_text;
use crate::{DecodeError, EncodeError, Event, Message, Payload, Ref, Reply, Status, Text, Topic};

const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

/// Encodes a push with its five header bytes: kind, and the lengths of join_ref, ref, topic and event.
pub(super) fn encode_push(message: &Message, data: &[u8]) -> Result<Bytes, EncodeError> {
    let join_ref = ref_text("join_ref", message.join_ref.as_ref())?;
    let reference = ref_text("ref", message.reference.as_ref())?;
    let fields = [
        ("join_ref", &*join_ref),
        ("ref", &*reference),
        ("topic", message.topic.as_str()),
        ("event", message.event.as_str()),
    ];
    let size = 5 + data.len() + fields.iter().map(|(_, text)| text.len()).sum::<usize>();
    let mut out = BytesMut::with_capacity(size);
    out.put_u8(PUSH);
    for (field, text) in fields {
        let length = u8::try_from(text.len());
        out.put_u8(length.map_err(|_| EncodeError::FieldTooLong { field, len: text.len() })?);
    }
    for (_, text) in fields {
        out.put_slice(text.as_bytes());
    }
    out.put_slice(data);
    Ok(out.freeze())
}

/// Decodes what a server sends: a push without a ref (kind 0), a reply (1) or a broadcast (2).
///
/// Empty references count as null.
pub(super) fn decode(data: &Bytes) -> Result<Received, DecodeError> {
    match data.first() {
        Some(&PUSH) => {
            let ([join_ref, topic, event], payload) = fields(data, ["join_ref", "topic", "event"])?;
            Ok(message(&join_ref, topic, event, payload))
        }
        Some(&REPLY) => {
            let names = ["join_ref", "ref", "topic", "status"];
            let ([join_ref, reference, topic, status], payload) = fields(data, names)?;
            Ok(Received::Reply(Reply {
                join_ref: optional_ref(&join_ref),
                reference: optional_ref(&reference),
                topic: Topic::from(topic),
                status: Status::new(status),
                payload: Payload::Binary(payload),
            }))
        }
        Some(&BROADCAST) => {
            let ([topic, event], payload) = fields(data, ["topic", "event"])?;
            Ok(message("", topic, event, payload))
        }
        Some(&kind) => Err(DecodeError::UnknownKind(kind)),
        None => Err(DecodeError::Truncated),
    }
}

fn message(join_ref: &str, topic: Text, event: Text, payload: Bytes) -> Received {
    Received::Message(Message {
        join_ref: optional_ref(join_ref),
        reference: None,
        topic: Topic::from(topic),
        event: Event::from(event),
        payload: Payload::Binary(payload),
    })
}

fn optional_ref(text: &str) -> Option<Ref> {
    (!text.is_empty()).then(|| Ref::string(text))
}

/// Cuts the fields of a frame, one length byte each behind the kind, and the data behind them.
fn fields<const N: usize>(data: &Bytes, names: [&'static str; N]) -> Result<([Text; N], Bytes), DecodeError> {
    let lengths: [u8; N] = data[1..].first_chunk().copied().ok_or(DecodeError::Truncated)?;
    let mut rest = data.slice(1 + N..);
    if rest.len() < lengths.iter().copied().map(usize::from).sum() {
        return Err(DecodeError::Truncated);
    }
    let mut texts = [const { Text::from_static("") }; N];
    for (index, length) in lengths.into_iter().enumerate() {
        texts[index] = Text::from_utf8(rest.split_to(usize::from(length)))
            .map_err(|_| DecodeError::FieldNotUtf8 { field: names[index], channel: None })?;
    }
    Ok((texts, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_static(data: &'static [u8]) -> Result<Received, DecodeError> {
        decode(&Bytes::from_static(data))
    }

    #[test]
    fn the_examples_of_the_specification() {
        let reply = decode_static(b"\x01\x01\x01\x06\x0217room:1ok\x00\xff").unwrap();
        assert_eq!(
            reply,
            Received::Reply(Reply {
                join_ref: Some(Ref::string("1")),
                reference: Some(Ref::string("7")),
                topic: "room:1".into(),
                status: Status::OK,
                payload: Bytes::from_static(b"\x00\xff").into(),
            })
        );
        let push = decode_static(b"\x00\x01\x06\x021room:1bp\x01\x02\xff").unwrap();
        assert_eq!(push, message("1", "room:1".into(), "bp".into(), Bytes::from_static(b"\x01\x02\xff")));
        let broadcast = decode_static(b"\x02\x06\x02room:1bbhi").unwrap();
        assert_eq!(broadcast, message("", "room:1".into(), "bb".into(), Bytes::from_static(b"hi")));
    }

    #[test]
    fn pushes_have_five_header_bytes() {
        let push = Message {
            join_ref: Some(Ref::string("0")),
            reference: Some(Ref::string("1")),
            topic: "t".into(),
            event: "é".into(),
            payload: Payload::EMPTY,
        };
        assert_eq!(&encode_push(&push, b"\x01").unwrap()[..], b"\x00\x01\x01\x01\x0201t\xc3\xa9\x01");
        let long = Message { topic: "t".repeat(256).as_str().into(), ..push };
        assert_eq!(encode_push(&long, b""), Err(EncodeError::FieldTooLong { field: "topic", len: 256 }));
    }

    #[test]
    fn broken_frames_are_refused() {
        assert_eq!(decode_static(b""), Err(DecodeError::Truncated));
        assert_eq!(decode_static(b"\x00\x01"), Err(DecodeError::Truncated));
        assert_eq!(decode_static(b"\x02\x01\x01t"), Err(DecodeError::Truncated));
        assert_eq!(decode_static(b"\x03"), Err(DecodeError::UnknownKind(3)));
        assert_eq!(
            decode_static(b"\x02\x01\x01\xffe"),
            Err(DecodeError::FieldNotUtf8 { field: "topic", channel: None })
        );
    }
}
