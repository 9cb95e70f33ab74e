//! Protocol §4.

use bytes::Bytes;
use phoenix_proto::{
    ChannelEnd, DecodeError, EncodeError, Frame, Message, Opcode, Payload, Ref, Reply, Serializer, Status,
    Topic, V2,
};

use crate::{assert_binary, binary, broadcast, push, raw, reference, reply};

#[test]
fn a_client_push_is_read() {
    let message = V2.decode(binary(b"\x00\x01\x01\x08\x0634echo:binbinary\x01\x02\x03\xff")).unwrap();
    assert_eq!(
        message,
        Message {
            join_ref: Some(Ref::string("3")),
            reference: Some(Ref::string("4")),
            topic: "echo:bin".into(),
            event: "binary".into(),
            payload: Bytes::from_static(&[1, 2, 3, 0xFF]).into(),
        }
    );
}

#[test]
fn empty_references_are_null_and_the_data_may_be_empty() {
    let message = V2.decode(binary(b"\0\0\0\x01\x01te")).unwrap();
    assert_eq!((message.join_ref, message.reference), (None, None));
    assert_eq!(message.payload, Payload::Binary(Bytes::new()));
    let message = V2.decode(binary([0; 5])).unwrap();
    assert_eq!((message.topic, message.event), ("".into(), "".into()));
}

#[test]
fn lengths_count_bytes() {
    let message = V2.decode(binary("\0\x02\0\x04\0é😀")).unwrap();
    assert_eq!((message.join_ref, message.topic), (Some(Ref::string("é")), "😀".into()));
}

#[test]
fn the_longest_fields_are_read() {
    let fields = ["j", "r", "t", "e"].map(|field| field.repeat(255));
    let data = [&[0, 255, 255, 255, 255], fields.concat().as_bytes(), &[9]].concat();
    let message = V2.decode(binary(data)).unwrap();
    assert_eq!(message.join_ref, Some(Ref::string(&fields[0])));
    assert_eq!(message.reference, Some(Ref::string(&fields[1])));
    assert_eq!((message.topic.as_str(), message.event.as_str()), (&*fields[2], &*fields[3]));
    assert_eq!(message.payload, Payload::Binary(Bytes::from_static(&[9])));
}

#[test]
fn only_kind_0_comes_from_a_client() {
    for kind in 1..=255 {
        assert_eq!(V2.decode(binary([kind, 0, 0, 0, 0])), Err(DecodeError::UnknownKind(kind)));
    }
    assert_eq!(V2.decode(binary(r#"["1","2","t","e",{}]"#)), Err(DecodeError::UnknownKind(b'[')));
}

#[test]
fn truncated_messages_are_refused() {
    let whole = b"\x00\x01\x01\x08\x0634echo:binbinary";
    for len in 0..whole.len() {
        assert_eq!(V2.decode(binary(&whole[..len])), Err(DecodeError::Truncated), "{len} bytes");
    }
    assert!(V2.decode(binary(whole)).is_ok());
}

#[test]
fn a_topic_or_ref_that_is_not_utf8_is_named_with_the_channel_it_is_for() {
    let decode = |data: &[u8]| V2.decode(binary(data)).unwrap_err();
    let channel = || Some((Topic::from("t"), reference("\"j\"")));
    for (data, field, channel) in
        [(b"\0\x01\x01\x01\x01j\xffte", "ref", channel()), (b"\0\x01\x01\x01\x01jr\xffe", "topic", None)]
    {
        assert_eq!(decode(data), DecodeError::FieldNotUtf8 { field, channel });
    }
}

#[test]
fn a_join_ref_or_event_that_is_not_utf8_is_kept_as_one_that_nobody_knows() {
    let decode = |data: &[u8]| V2.decode(binary(data)).unwrap();
    assert_eq!(decode(b"\0\x01\x01\x01\x01\xffrte").join_ref, reference("\"\u{fffd}\""));
    assert_eq!(decode(b"\0\x01\x01\x01\x01jrt\xff").event, "\u{fffd}");
}

#[test]
fn push_row() {
    let frame = V2.encode_push(&push("\"1\"", "room:1", "bp", Bytes::from_static(&[1, 2, 255]))).unwrap();
    assert_binary(&frame, b"\x00\x01\x06\x021room:1bp\x01\x02\xff");
    let frame = V2.encode_push(&push("null", "room:1", "bp", Bytes::new())).unwrap();
    assert_binary(&frame, b"\x00\x00\x06\x02room:1bp");
}

#[test]
fn reply_row() {
    let frame = V2.encode_reply(&reply("\"1\"", "\"7\"", "ok", raw())).unwrap();
    assert_binary(&frame, b"\x01\x01\x01\x06\x0217room:1ok\x00\xff");
    let frame = V2.encode_reply(&reply("null", "null", "ok", raw())).unwrap();
    assert_binary(&frame, b"\x01\x00\x00\x06\x02room:1ok\x00\xff");
}

#[test]
fn broadcast_row() {
    let frame = V2.encode_broadcast(&broadcast("room:1", "bb", Bytes::from_static(b"hi"))).unwrap();
    assert_binary(&frame, b"\x02\x06\x02room:1bbhi");
}

#[test]
fn references_that_are_no_strings_are_written_as_text() {
    let frame = V2.encode_reply(&reply("12", "7.5", "ok", raw())).unwrap();
    assert_binary(&frame, b"\x01\x02\x03\x06\x02127.5room:1ok\x00\xff");
}

#[test]
fn fields_of_255_bytes_pass_and_longer_ones_are_named() {
    let cases: [(&str, Encode); 9] = [
        ("join_ref", |len| V2.encode_push(&push(&quoted(len), "t", "e", raw()))),
        ("topic", |len| V2.encode_push(&push("\"1\"", &long(len), "e", raw()))),
        ("event", |len| V2.encode_push(&push("\"1\"", "t", &long(len), raw()))),
        ("join_ref", |len| V2.encode_reply(&reply(&quoted(len), "\"1\"", "ok", raw()))),
        ("ref", |len| V2.encode_reply(&reply("\"1\"", &quoted(len), "ok", raw()))),
        ("status", |len| V2.encode_reply(&reply("\"1\"", "\"1\"", &long(len), raw()))),
        ("topic", |len| {
            let topic = Topic::from(&*long(len));
            V2.encode_reply(&Reply { topic, ..reply("\"1\"", "\"1\"", "ok", raw()) })
        }),
        ("topic", |len| V2.encode_broadcast(&broadcast(&long(len), "e", raw()))),
        ("event", |len| V2.encode_broadcast(&broadcast("t", &long(len), raw()))),
    ];
    for (field, encode) in cases {
        assert_eq!(encode(255).unwrap().opcode(), Opcode::Binary);
        assert_eq!(encode(256).unwrap_err(), EncodeError::FieldTooLong { field, len: 256 });
    }
}

#[test]
fn long_fields_are_fine_as_long_as_everything_is_json() {
    let long = "x".repeat(1000);
    let reply = reply(&format!("\"{long}\""), &format!("\"{long}\""), &long, Payload::EMPTY);
    assert_eq!(V2.encode_reply(&reply).unwrap().opcode(), Opcode::Text);
    let end = V2.encode_end(&long.as_str().into(), None, ChannelEnd::Closed).unwrap();
    assert_eq!(end.opcode(), Opcode::Text);
}

type Encode = fn(usize) -> Result<Frame, EncodeError>;

fn long(len: usize) -> String {
    "x".repeat(len)
}

fn quoted(len: usize) -> String {
    format!("\"{}\"", long(len))
}

#[test]
fn arrays_and_objects_are_no_references_of_a_binary_message() {
    for compound in ["[1]", r#"{"a":1}"#] {
        let message = Reply {
            join_ref: None,
            reference: reference(compound),
            topic: "t".into(),
            status: Status::OK,
            payload: Bytes::new().into(),
        };
        assert_eq!(V2.encode_reply(&message).unwrap_err(), EncodeError::CompoundRef { field: "ref" });
    }
}
