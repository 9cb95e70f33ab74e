//! Protocol §3.

use phoenix_proto::{
    ChannelEnd, DecodeError, EncodeError, Event, Json, Message, Payload, Ref, Serializer, Status, Topic, V2,
};

use crate::{assert_text, broadcast, json, push, reference, reply, text};

fn decode(message: &str) -> Message {
    V2.decode(text(message)).unwrap_or_else(|error| panic!("{message}: {error}"))
}

#[test]
fn reply_rows() {
    for (join_ref, with, status, response, expected) in [
        ("\"1\"", "\"7\"", "ok", "{}", r#"["1","7","room:1","phx_reply",{"status":"ok","response":{}}]"#),
        (
            "null",
            "\"7\"",
            "error",
            "{\"reason\":\"unmatched topic\"}",
            r#"[null,"7","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        ),
        (
            "null",
            "null",
            "teapot",
            "{}",
            r#"[null,null,"room:1","phx_reply",{"status":"teapot","response":{}}]"#,
        ),
    ] {
        assert_text(&V2.encode_reply(&reply(join_ref, with, status, json(response))).unwrap(), expected);
    }
}

#[test]
fn a_reply_may_hold_any_json_value() {
    for response in ["null", "17", "1.5", "true", "\"text\"", "[1,\"two\",null]", "{\"a\":{}}"] {
        let frame = V2.encode_reply(&reply("\"1\"", "\"2\"", "ok", json(response))).unwrap();
        let expected = format!(r#"["1","2","room:1","phx_reply",{{"status":"ok","response":{response}}}]"#);
        assert_text(&frame, &expected);
    }
}

#[test]
fn push_row() {
    let frame = V2.encode_push(&push("\"1\"", "room:1", "joined", json("{\"x\":1}"))).unwrap();
    assert_text(&frame, r#"["1",null,"room:1","joined",{"x":1}]"#);
}

#[test]
fn broadcast_row() {
    let frame = V2.encode_broadcast(&broadcast("room:1", "shout", json("{\"x\":1}"))).unwrap();
    assert_text(&frame, r#"[null,null,"room:1","shout",{"x":1}]"#);
}

#[test]
fn close_and_error_rows() {
    let topic = Topic::from("room:1");
    let end = |join_ref: &str, end| V2.encode_end(&topic, reference(join_ref).as_ref(), end).unwrap();
    assert_text(&end("\"1\"", ChannelEnd::Closed), r#"["1","1","room:1","phx_close",{}]"#);
    assert_text(&end("null", ChannelEnd::Closed), r#"[null,null,"room:1","phx_close",{}]"#);
    assert_text(&end("1", ChannelEnd::Crashed), r#"[1,1,"room:1","phx_error",{"reason":"channel_crash"}]"#);
}

#[test]
fn pushes_and_broadcasts_are_objects() {
    for payload in ["null", "17", "true", "\"text\"", "[1,2]"] {
        let refused = V2.encode_push(&push("\"1\"", "room:1", "e", json(payload))).unwrap_err();
        assert_eq!(refused, EncodeError::NotAnObject, "{payload}");
        let refused = V2.encode_broadcast(&broadcast("room:1", "e", json(payload))).unwrap_err();
        assert_eq!(refused, EncodeError::NotAnObject, "{payload}");
    }
}

#[test]
fn a_client_message_is_read() {
    let message = decode(r#"["3","4","room:1","echo",{"b":1,"a":[null,2.5]}]"#);
    assert_eq!(
        message,
        Message {
            join_ref: Some(Ref::string("3")),
            reference: Some(Ref::string("4")),
            topic: "room:1".into(),
            event: "echo".into(),
            payload: json("{\"b\":1,\"a\":[null,2.5]}").into(),
        }
    );
}

#[test]
fn white_space_is_skipped_everywhere() {
    let message = decode(" \n[ \"3\" ,\t\"4\" , \"room:1\",\"echo\" , { \"a\" : 1 } ]\r\n ");
    assert_eq!(message.topic, "room:1");
    assert_eq!(message.payload.as_json().map(Json::as_str), Some("{ \"a\" : 1 }"));
}

#[test]
fn elements_after_the_fifth_are_ignored() {
    for rest in ["6", "\"six\",[7],{\"eight\":8},null"] {
        assert_eq!(decode(&format!(r#"["1","2","t","e",{{}},{rest}]"#)), decode(r#"["1","2","t","e",{}]"#));
    }
    for broken in [r#"["1","2","t","e",{},]"#, r#"["1","2","t","e",{},x]"#, r#"["1","2","t","e",{},6"#] {
        assert!(matches!(V2.decode(text(broken)), Err(DecodeError::Syntax(_))), "{broken}");
    }
}

#[test]
fn references_of_any_type_come_back_as_they_were() {
    for with in ["null", "7", "-0.5", "1e3", "true", "\"seven\"", "\"\\u0041\\n\"", "[1, 2]", "{ \"a\":1}"] {
        let message = decode(&format!(r#"[{with},{with},"t","e",{{}}]"#));
        assert_eq!(message.reference.as_ref().map_or("null", Ref::as_json), with);
        let answer = phoenix_proto::Reply {
            join_ref: message.join_ref,
            reference: message.reference,
            topic: message.topic,
            status: Status::OK,
            payload: Payload::EMPTY,
        };
        let frame = V2.encode_reply(&answer).unwrap();
        let start = format!("[{with},{with},");
        assert!(frame.payload().starts_with(start.as_bytes()), "{with}: {:?}", frame.payload());
    }
}

#[test]
fn a_topic_that_is_no_string_is_echoed() {
    for topic in ["5", "null", "{\"a\":1}", "[true]"] {
        let message = decode(&format!(r#"["1","2",{topic},"echo",{{}}]"#));
        assert_eq!(message.topic.text(), None);
        let answer = phoenix_proto::Reply {
            join_ref: None,
            reference: message.reference,
            topic: message.topic,
            status: Status::ERROR,
            payload: Payload::EMPTY,
        };
        let expected = format!(r#"[null,"2",{topic},"phx_reply",{{"status":"error","response":{{}}}}]"#);
        assert_text(&V2.encode_reply(&answer).unwrap(), &expected);
    }
}

#[test]
fn an_event_that_is_no_string_is_kept() {
    for event in ["5", "null", "{\"a\":1}", "[true]"] {
        let message = decode(&format!(r#"["1","2","t",{event},{{}}]"#));
        assert_eq!((message.event.text(), message.event.as_str()), (None, event));
    }
    assert_eq!(decode(r#"["1","2","t","",{}]"#).event, "");
}

#[test]
fn escapes_are_resolved_in_topics_and_events_and_written_again() {
    let message = decode(r#"["1","2","room:\u0031\"\n","phx\u005fjoin",{}]"#);
    assert_eq!(message.topic, "room:1\"\n");
    assert_eq!(message.event, Event::JOIN);
    let frame = V2.encode_push(&message).unwrap();
    assert_text(&frame, r#"["1","2","room:1\"\n","phx_join",{}]"#);
}

#[test]
fn payloads_of_any_type_are_accepted_verbatim() {
    for payload in
        ["null", "5", "\"x\"", "[1,{\"a\":null}]", "123456789012345678901234567890", "{\"a\":1,\"a\":2}"]
    {
        let message = decode(&format!(r#"["1","2","t","e",{payload}]"#));
        assert_eq!(message.payload.as_json().map(Json::as_str), Some(payload));
    }
}

#[test]
fn what_is_no_array_of_five_is_refused() {
    for message in [
        "",
        "  ",
        "null",
        "42",
        "\"hello\"",
        "{}",
        r#"{"topic":"t","event":"e","payload":{},"ref":"2"}"#,
        "[]",
        r#"["1","2","t","e"]"#,
        r#"["1","2","t","e",{}] x"#,
        "[\"1\",\"2\",\"t\",\"e\",{}]\n[\"1\"]",
        r#"["1","2","t","e",{}"#,
        "\u{feff}[\"1\",\"2\",\"t\",\"e\",{}]",
        "['1','2','t','e',{}]",
        r#"["1","2","t","e",{"n":1e309}]"#,
        r#"["1","2","t","e",{"s":"\ud800"}]"#,
        "[\"1\",\"2\",\"t\",\"e\",\"\u{1}\"]",
    ] {
        assert!(matches!(V2.decode(text(message)), Err(DecodeError::Syntax(_))), "{message}");
    }
}

#[test]
fn deep_payloads_pass() {
    let payload = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(decode(&format!(r#"["1","2","t","e",{payload}]"#)).payload.len(), 10_000);
}
