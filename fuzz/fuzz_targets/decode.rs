//! Any bytes, as text and as binary: whatever is decoded can be encoded and is then read back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phoenix_proto::{Incoming, Json, Message, Payload, Reply, Serializer, Status, Text, V1, V2};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    for serializer in [&V1 as &dyn Serializer, &V2] {
        if let Ok(message) = serializer.decode(Incoming::Binary(data.to_vec().into())) {
            answer(serializer, message);
        }
        let Ok(text) = Text::from_utf8(data.to_vec().into()) else { continue };
        // serde_json gives up on values nested deeper than 128 levels.
        let valid = serde_json::from_str::<Value>(&text).is_ok();
        assert!(!valid || Json::from_text(&text).is_ok(), "valid JSON is accepted");
        if let Ok(message) = serializer.decode(Incoming::Text(text.clone())) {
            assert!(Json::from_text(&text).is_ok(), "only JSON is a message");
            answer(serializer, message);
        }
    }
});

/// Echoes a message and reads the echo.
fn answer(serializer: &dyn Serializer, message: Message) {
    let payload = message.payload.clone();
    let reply = Reply {
        join_ref: message.join_ref.clone(),
        reference: message.reference.clone(),
        topic: message.topic.clone(),
        status: Status::OK,
        payload,
    };
    match serializer.encode_reply(&reply) {
        Ok(frame) if reply.payload.as_json().is_some() => {
            let text = Text::from_utf8(frame.payload()).expect("JSON is UTF-8");
            let echo = serializer.decode(Incoming::Text(text)).expect("a reply is a message");
            assert_eq!(echo.topic, message.topic);
            assert_eq!(echo.event, "phx_reply");
        }
        Ok(_) => {}
        Err(error) => assert!(matches!(reply.payload, Payload::Binary(_)), "{error}"),
    }
}
