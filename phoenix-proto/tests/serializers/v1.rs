//! Protocol §2.

use phoenix_proto::{ChannelEnd, DecodeError, EncodeError, Json, Message, Ref, Serializer, Topic, V1};

use crate::{assert_text, binary, broadcast, json, push, raw, reference, reply, text};

fn decode(message: &str) -> Message {
    V1.decode(text(message)).unwrap_or_else(|error| panic!("{message}: {error}"))
}

#[test]
fn reply_row() {
    for response in ["{}", "null", "[1,2]", "\"x\""] {
        let frame = V1.encode_reply(&reply("\"1\"", "\"7\"", "ok", json(response))).unwrap();
        assert_text(
            &frame,
            &format!(
                r#"{{"topic":"room:1","event":"phx_reply","ref":"7","payload":{{"status":"ok","response":{response}}}}}"#
            ),
        );
    }
}

#[test]
fn push_and_broadcast_rows_are_the_same() {
    for payload in ["{\"x\":1}", "\"x\"", "[1,2]", "null"] {
        let expected = format!(r#"{{"topic":"room:1","event":"pushed","payload":{payload},"ref":null}}"#);
        assert_text(&V1.encode_push(&push("\"1\"", "room:1", "pushed", json(payload))).unwrap(), &expected);
        assert_text(&V1.encode_broadcast(&broadcast("room:1", "pushed", json(payload))).unwrap(), &expected);
    }
}

#[test]
fn close_and_error_rows() {
    let topic = Topic::from("room:1");
    let end = |join_ref: &str, end| V1.encode_end(&topic, reference(join_ref).as_ref(), end).unwrap();
    assert_text(
        &end("\"3\"", ChannelEnd::Closed),
        r#"{"topic":"room:1","event":"phx_close","payload":{},"ref":"3"}"#,
    );
    assert_text(
        &end("null", ChannelEnd::Crashed),
        r#"{"topic":"room:1","event":"phx_error","payload":{"reason":"channel_crash"},"ref":null}"#,
    );
}

#[test]
fn binary_payloads_are_refused() {
    let refused = EncodeError::BinaryUnsupported("V1");
    assert_eq!(V1.encode_push(&push("\"1\"", "room:1", "e", raw())).unwrap_err(), refused);
    assert_eq!(V1.encode_reply(&reply("\"1\"", "\"2\"", "ok", raw())).unwrap_err(), refused);
    assert_eq!(V1.encode_broadcast(&broadcast("room:1", "e", raw())).unwrap_err(), refused);
}

#[test]
fn a_client_message_is_read() {
    let message = decode(r#"{"topic":"room:1","event":"echo","payload":{"a":1},"ref":"4","join_ref":"3"}"#);
    assert_eq!(
        message,
        Message {
            join_ref: Some(Ref::string("3")),
            reference: Some(Ref::string("4")),
            topic: "room:1".into(),
            event: "echo".into(),
            payload: json("{\"a\":1}").into(),
        }
    );
}

#[test]
fn join_ref_is_optional_and_unknown_keys_are_ignored() {
    let plain = decode(r#"{"topic":"t","event":"e","payload":{},"ref":"4"}"#);
    assert_eq!(plain.join_ref, None);
    assert_eq!(decode(r#"{"x":[{}],"topic":"t","event":"e","payload":{},"ref":"4","join_ref":null}"#), plain);
    assert_eq!(decode(r#" { "ref" : "4" , "payload" : {} , "event":"e" , "topic":"t" } "#), plain);
    assert_eq!(decode(r#"{"t\u006fpic":"t","event":"e","payload":{},"ref":"4"}"#), plain);
}

#[test]
fn the_first_of_equal_keys_counts() {
    assert_eq!(decode(r#"{"topic":"a","event":"e","payload":{},"ref":1,"topic":"b"}"#).topic, "a");
}

#[test]
fn all_four_values_may_be_null() {
    let message = decode(r#"{"topic":null,"event":null,"payload":null,"ref":null}"#);
    assert_eq!((message.topic.as_str(), message.event.as_str(), message.reference), ("null", "null", None));
    assert_eq!(message.payload.as_json(), Some(&Json::NULL));
}

#[test]
fn each_missing_key_is_named() {
    let parts = [
        ("topic", r#""topic":"t""#),
        ("event", r#""event":"e""#),
        ("payload", r#""payload":{}"#),
        ("ref", r#""ref":"1""#),
    ];
    for (missing, _) in parts {
        let rest: Vec<_> = parts.iter().filter(|(key, _)| *key != missing).map(|(_, part)| *part).collect();
        let message = format!("{{{}}}", rest.join(","));
        assert_eq!(V1.decode(text(&message)), Err(DecodeError::MissingKey(missing)));
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for message in
        ["", "null", "\"x\"", "1", r#"["1","2","t","e",{}]"#, "{not json", "{", r#"{"topic":"t",}"#, "{} {}"]
    {
        assert!(matches!(V1.decode(text(message)), Err(DecodeError::Syntax(_))), "{message}");
    }
}

#[test]
fn json_in_a_binary_frame_is_as_good() {
    let message = r#"{"topic":"t","event":"e","payload":{},"ref":"4"}"#;
    assert_eq!(V1.decode(binary(message)), V1.decode(text(message)));
    assert!(matches!(V1.decode(binary("\0\0\0\0\0")), Err(DecodeError::Syntax(_))));
    assert_eq!(V1.decode(binary(b"{\"topic\":\"\xff\"}")), Err(DecodeError::NotUtf8));
}
