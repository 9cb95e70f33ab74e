//! The wire formats, row by row (protocol §2–§4).

mod binary;
mod recorded;
mod v1;
mod v2;

use bytes::Bytes;
use phoenix_proto::{Broadcast, Frame, Incoming, Json, Message, Opcode, Payload, Ref, Reply, Status, Topic};
use serde_json::Value;

fn text(text: &str) -> Incoming {
    Incoming::Text(text.into())
}

fn binary(data: impl AsRef<[u8]>) -> Incoming {
    Incoming::Binary(Bytes::copy_from_slice(data.as_ref()))
}

fn json(text: &str) -> Json {
    Json::from_text(&text.into()).expect("tests write valid JSON")
}

/// The reference with the given JSON text; `null` is none.
fn reference(text: &str) -> Option<Ref> {
    Ref::from_json(json(text))
}

/// The raw bytes 00 FF, which are not UTF-8.
fn raw() -> Payload {
    Bytes::from_static(&[0, 0xFF]).into()
}

fn push(join_ref: &str, topic: &str, event: &str, payload: impl Into<Payload>) -> Message {
    Message {
        join_ref: reference(join_ref),
        reference: None,
        topic: topic.into(),
        event: event.into(),
        payload: payload.into(),
    }
}

fn reply(join_ref: &str, with: &str, status: &str, payload: impl Into<Payload>) -> Reply {
    Reply {
        join_ref: reference(join_ref),
        reference: reference(with),
        topic: Topic::from("room:1"),
        status: Status::new(status),
        payload: payload.into(),
    }
}

fn broadcast(topic: &str, event: &str, payload: impl Into<Payload>) -> Broadcast {
    Broadcast { topic: topic.into(), event: event.into(), payload: payload.into() }
}

/// Checks a text frame; the order of keys is free, so the parsed values are compared.
#[track_caller]
fn assert_text(frame: &Frame, expected: &str) {
    assert_eq!(frame.opcode(), Opcode::Text);
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("frames hold valid JSON");
    assert_eq!(parse(&frame.payload()), parse(expected.as_bytes()));
}

#[track_caller]
fn assert_binary(frame: &Frame, expected: &[u8]) {
    assert_eq!(frame.opcode(), Opcode::Binary);
    assert_eq!(&frame.payload()[..], expected);
}
