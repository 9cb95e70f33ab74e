//! The wire formats from the client's side (protocol §2–4, §24): what a client sends, and what a server sends it.

use std::fmt::Debug;

use bytes::Bytes;

use super::binary;
use crate::json::{Kind, Scanner, Span};
use crate::{
    DecodeError, EncodeError, Event, Incoming, Json, Message, Payload, Ref, Reply, Status, Text, Topic, V1,
    V2,
};

/// Translates between messages and transport units on the client's side.
///
/// [`V1`] and [`V2`] are the formats of Phoenix; an application adds its own by implementing this trait, and
/// registers the counterpart under the same `vsn` on the server. One serializer serves any number of sockets,
/// so it holds no state of a connection.
pub trait ClientSerializer: Debug + Send + Sync + 'static {
    /// The protocol version requested from the server, as `vsn` in the query.
    fn vsn(&self) -> &str;

    /// Encodes one message to the server.
    ///
    /// # Errors
    /// [`EncodeError`] when the payload or a field cannot be represented.
    fn encode(&self, message: &Message) -> Result<Outgoing, EncodeError>;

    /// Decodes one unit from the server.
    ///
    /// # Errors
    /// [`DecodeError`]; the unit is dropped and counted, the connection goes on as in phoenix.js.
    fn decode(&self, incoming: Incoming) -> Result<Received, DecodeError>;
}

/// One encoded message on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text frame, or a line of a long-poll request.
    Text(Text),
    /// A binary frame, or a base64 line of a long-poll request.
    Binary(Bytes),
}

/// One decoded message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// An answer: event `phx_reply` with a status and a response.
    Reply(Reply),
    /// Anything else, also a `phx_reply` that has no status.
    Message(Message),
}

impl Outgoing {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }

    /// Whether there is not a single byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ClientSerializer for V2 {
    fn vsn(&self) -> &'static str {
        "2.0.0"
    }

    /// A JSON payload makes an array, raw bytes make a binary frame.
    fn encode(&self, message: &Message) -> Result<Outgoing, EncodeError> {
        let json = match &message.payload {
            Payload::Binary(data) => return binary::encode_push(message, data).map(Outgoing::Binary),
            Payload::Json(json) => json,
        };
        Ok(text(json.as_str().len() + message.topic.as_str().len() + 64, |out| {
            out.push(b'[');
            write_ref(out, message.join_ref.as_ref());
            out.push(b',');
            write_ref(out, message.reference.as_ref());
            out.push(b',');
            message.topic.write_json(out);
            out.push(b',');
            message.event.write_json(out);
            out.push(b',');
            out.extend_from_slice(json.as_str().as_bytes());
            out.push(b']');
        }))
    }

    fn decode(&self, incoming: Incoming) -> Result<Received, DecodeError> {
        match incoming {
            Incoming::Text(text) => decode_array(&text),
            Incoming::Binary(data) => binary::decode(&data),
        }
    }
}

impl ClientSerializer for V1 {
    fn vsn(&self) -> &'static str {
        "1.0.0"
    }

    /// An object; `join_ref` is sent when there is one, as phoenix.js does with this version.
    fn encode(&self, message: &Message) -> Result<Outgoing, EncodeError> {
        let json = message.payload.as_json().ok_or(EncodeError::BinaryUnsupported("V1"))?;
        Ok(text(json.as_str().len() + message.topic.as_str().len() + 96, |out| {
            out.extend_from_slice(b"{\"topic\":");
            message.topic.write_json(out);
            out.extend_from_slice(b",\"event\":");
            message.event.write_json(out);
            out.extend_from_slice(b",\"payload\":");
            out.extend_from_slice(json.as_str().as_bytes());
            out.extend_from_slice(b",\"ref\":");
            write_ref(out, message.reference.as_ref());
            if message.join_ref.is_some() {
                out.extend_from_slice(b",\"join_ref\":");
                write_ref(out, message.join_ref.as_ref());
            }
            out.push(b'}');
        }))
    }

    /// The opcode is ignored, as on the server.
    fn decode(&self, incoming: Incoming) -> Result<Received, DecodeError> {
        match incoming {
            Incoming::Text(text) => decode_object(&text),
            Incoming::Binary(data) => {
                decode_object(&Text::from_utf8(data).map_err(|_| DecodeError::NotUtf8)?)
            }
        }
    }
}

fn text(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Outgoing {
    let mut out = Vec::with_capacity(capacity);
    write(&mut out);
    Outgoing::Text(Text::from_utf8(out.into()).expect("made of strings only"))
}

fn write_ref(out: &mut Vec<u8>, reference: Option<&Ref>) {
    out.extend_from_slice(reference.map_or("null", Ref::as_json).as_bytes());
}

fn decode_array(text: &Text) -> Result<Received, DecodeError> {
    let mut scanner = Scanner::new(text);
    scanner.punctuation(b'[', "an array")?;
    let mut element = |last: bool| {
        let span = scanner.value()?;
        if !last {
            scanner.punctuation(b',', "',' and five elements")?;
        }
        Ok::<_, DecodeError>(span)
    };
    let fields = Fields {
        join_ref: Some(element(false)?),
        reference: element(false)?,
        topic: element(false)?,
        event: element(false)?,
        payload: element(true)?,
    };
    while scanner.try_punctuation(b',') {
        scanner.value()?;
    }
    scanner.punctuation(b']', "',' or ']'")?;
    scanner.end()?;
    Ok(fields.message(text))
}

fn decode_object(text: &Text) -> Result<Received, DecodeError> {
    let mut scanner = Scanner::new(text);
    let (mut join_ref, mut reference, mut topic, mut event, mut payload) = (None, None, None, None, None);
    each_member(&mut scanner, text, |key, value| match key {
        "join_ref" => join_ref = Some(value),
        "ref" => reference = Some(value),
        "topic" => topic = Some(value),
        "event" => event = Some(value),
        "payload" => payload = Some(value),
        _ => {}
    })?;
    scanner.end()?;
    let fields = Fields {
        join_ref,
        reference: reference.ok_or(DecodeError::MissingKey("ref"))?,
        topic: topic.ok_or(DecodeError::MissingKey("topic"))?,
        event: event.ok_or(DecodeError::MissingKey("event"))?,
        payload: payload.ok_or(DecodeError::MissingKey("payload"))?,
    };
    Ok(fields.message(text))
}

/// Reports the members of an object in order; of equal keys the last one counts for the caller.
fn each_member(
    scanner: &mut Scanner<'_>,
    text: &str,
    mut member: impl FnMut(&str, Span),
) -> Result<(), DecodeError> {
    scanner.punctuation(b'{', "an object")?;
    if scanner.try_punctuation(b'}') {
        return Ok(());
    }
    loop {
        let key = scanner.key()?;
        let value = scanner.value()?;
        member(&key.string(text), value);
        if !scanner.try_punctuation(b',') {
            scanner.punctuation(b'}', "',' or '}'")?;
            return Ok(());
        }
    }
}

/// Where the five fields of a message stand.
struct Fields {
    join_ref: Option<Span>,
    reference: Span,
    topic: Span,
    event: Span,
    payload: Span,
}

impl Fields {
    fn message(&self, text: &Text) -> Received {
        let json = |span: Span| Json::trusted(text.slice_ref(span.of(text)));
        let plain = |span: Span| match span.kind {
            Kind::String { escaped: false } => Some(text.slice_ref(span.inner(text))),
            _ => None,
        };
        let join_ref = self.join_ref.and_then(|span| Ref::from_json(json(span)));
        let reference = Ref::from_json(json(self.reference));
        let topic = plain(self.topic).map_or_else(|| Topic::from_json(json(self.topic)), Topic::from);
        let event = plain(self.event).map_or_else(|| Event::from_json(json(self.event)), Event::from);
        if event == Event::REPLY
            && let Some((status, response)) = read_response(text, self.payload)
        {
            let payload = Payload::Json(json(response));
            return Received::Reply(Reply { join_ref, reference, topic, status, payload });
        }
        Received::Message(Message { join_ref, reference, topic, event, payload: json(self.payload).into() })
    }
}

/// The status and the response in the payload of a reply, if it has both.
fn read_response(text: &Text, payload: Span) -> Option<(Status, Span)> {
    let body = payload.of(text);
    let (mut status, mut response) = (None, None);
    each_member(&mut Scanner::new(body), body, |key, value| match key {
        "status" => status = Some(value),
        "response" => response = Some(value),
        _ => {}
    })
    .ok()?;
    let status = status.filter(|span| matches!(span.kind, Kind::String { .. }))?;
    let mut response = response?;
    response.start += payload.start;
    response.end += payload.start;
    Some((Status::new(status.string(body).as_ref()), response))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Broadcast, Serializer};

    fn message(payload: Payload) -> Message {
        Message {
            join_ref: Some(Ref::string("3")),
            reference: Some(Ref::string("4")),
            topic: "room:\"1".into(),
            event: "say".into(),
            payload,
        }
    }

    fn decoded(serializer: &dyn ClientSerializer, text: &str) -> Received {
        serializer.decode(Incoming::Text(text.into())).unwrap()
    }

    #[test]
    fn json_as_phoenix_js_writes_it() {
        let message = message(serde_json::json!({"a": 1}).into());
        let text = |outgoing: Result<Outgoing, _>| match outgoing {
            Ok(Outgoing::Text(text)) => text,
            other => panic!("text expected: {other:?}"),
        };
        assert_eq!(text(V2.encode(&message)), r#"["3","4","room:\"1","say",{"a":1}]"#);
        assert_eq!(
            text(V1.encode(&message)),
            r#"{"topic":"room:\"1","event":"say","payload":{"a":1},"ref":"4","join_ref":"3"}"#
        );
        let alone = Message { join_ref: None, ..message };
        assert_eq!(text(V2.encode(&alone)), r#"[null,"4","room:\"1","say",{"a":1}]"#);
        assert_eq!(
            text(V1.encode(&alone)),
            r#"{"topic":"room:\"1","event":"say","payload":{"a":1},"ref":"4"}"#
        );
    }

    #[test]
    fn replies_are_recognised_by_their_shape() {
        let Received::Reply(reply) =
            decoded(&V2, r#"["3","4","t","phx_reply",{"response":[1, 2],"status":"o\u006b"}]"#)
        else {
            panic!("a reply");
        };
        let response = Json::from_text(&"[1, 2]".into()).unwrap();
        assert_eq!((reply.status, reply.payload), (Status::OK, response.into()));
        for odd in ["null", "{}", r#"{"status":1,"response":{}}"#, r#"{"status":"ok"}"#, "[]", "\"ok\""] {
            let text = format!(r#"["3","4","t","phx_reply",{odd}]"#);
            assert!(
                matches!(decoded(&V2, &text), Received::Message(message) if message.event == "phx_reply")
            );
        }
    }

    #[test]
    fn v1_objects_have_no_join_ref() {
        let text =
            r#"{"topic":"t","event":"phx_reply","ref":"1","payload":{"status":"error","response":{}}}"#;
        let Received::Reply(reply) = decoded(&V1, text) else { panic!("a reply") };
        assert_eq!((reply.join_ref, reply.status), (None, Status::ERROR));
        assert_eq!(
            ClientSerializer::decode(&V1, Incoming::Text(r#"{"topic":"t"}"#.into())),
            Err(DecodeError::MissingKey("ref"))
        );
    }

    #[test]
    fn v1_has_no_binary_payload() {
        let push = message(Bytes::from_static(b"x").into());
        assert_eq!(V1.encode(&push), Err(EncodeError::BinaryUnsupported("V1")));
    }

    proptest! {
        #[test]
        fn everything_the_server_encodes_is_read_back(
            join_ref in proptest::option::of("[0-9]{1,4}"), topic in "\\PC{0,12}", event in "\\PC{1,12}",
            key in "\\PC{0,8}", data in proptest::option::of(prop::collection::vec(any::<u8>(), 0..32)),
        ) {
            prop_assume!(topic.len() < 256 && event.len() < 256 && event != "phx_reply");
            let payload: Payload = match data {
                Some(data) => Bytes::from(data).into(),
                None => serde_json::json!({ key: [1, null] }).into(),
            };
            let join_ref = join_ref.as_deref().map(Ref::string);
            let reply = Reply {
                join_ref: join_ref.clone(), reference: Some(Ref::string("9")), topic: topic.as_str().into(),
                status: Status::new(event.as_str()), payload: payload.clone(),
            };
            prop_assert_eq!(receive(&V2.encode_reply(&reply).unwrap()), Received::Reply(reply));
            let push = Message {
                join_ref, reference: None, topic: topic.as_str().into(), event: event.as_str().into(),
                payload: payload.clone(),
            };
            prop_assert_eq!(receive(&Serializer::encode_push(&V2, &push).unwrap()), Received::Message(push.clone()));
            let broadcast = Broadcast { topic: topic.into(), event: event.into(), payload };
            let expected = Message { join_ref: None, ..push };
            prop_assert_eq!(receive(&V2.encode_broadcast(&broadcast).unwrap()), Received::Message(expected));
        }

        #[test]
        fn the_server_reads_what_is_sent(
            topic in "\\PC{0,12}", data in proptest::option::of(prop::collection::vec(any::<u8>(), 0..32)),
        ) {
            let mut push = message(data.map_or(Payload::EMPTY, |data| Bytes::from(data).into()));
            push.topic = topic.as_str().into();
            let incoming = match V2.encode(&push).unwrap() {
                Outgoing::Text(text) => Incoming::Text(text),
                Outgoing::Binary(data) => Incoming::Binary(data),
            };
            prop_assert_eq!(Serializer::decode(&V2, incoming).unwrap(), push);
        }

        #[test]
        fn no_input_panics(text in "\\PC{0,40}", data in prop::collection::vec(any::<u8>(), 0..40)) {
            let data = Bytes::from(data);
            for serializer in [&V1 as &dyn ClientSerializer, &V2] {
                let _ = serializer.decode(Incoming::Text(text.as_str().into()));
                let _ = serializer.decode(Incoming::Binary(data.clone()));
            }
        }
    }

    fn receive(frame: &crate::Frame) -> Received {
        let incoming = match frame.opcode() {
            crate::Opcode::Text => Incoming::Text(Text::from_utf8(frame.payload()).unwrap()),
            crate::Opcode::Binary => Incoming::Binary(frame.payload()),
            other => panic!("no message: {other:?}"),
        };
        ClientSerializer::decode(&V2, incoming).unwrap()
    }
}
