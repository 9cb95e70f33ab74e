use super::v2::{read_event, read_payload, read_ref, read_topic, write_ref, write_response};
use super::{DecodeError, EncodeError, Serializer};
use crate::json::{Scanner, write_string};
use crate::{Broadcast, Frame, Incoming, Json, Message, Payload, Reply, Text, Topic};

/// The format of `vsn` 1.0: JSON objects, no binary payloads, `join_ref` read but never sent (protocol §2).
#[derive(Debug, Clone, Copy, Default)]
pub struct V1;

/// Room for the keys, quotes and constant parts of a message around its fields.
const OVERHEAD: usize = 96;

const NAME: &str = "Phoenix.Socket.V1.JSONSerializer";

impl Serializer for V1 {
    fn name(&self) -> &'static str {
        NAME
    }

    /// The opcode is ignored: JSON in a binary frame is as good.
    fn decode(&self, incoming: Incoming) -> Result<Message, DecodeError> {
        match incoming {
            Incoming::Text(text) => decode_object(&text),
            Incoming::Binary(data) => {
                decode_object(&Text::from_utf8(data).map_err(|_| DecodeError::NotUtf8)?)
            }
        }
    }

    fn encode_push(&self, message: &Message) -> Result<Frame, EncodeError> {
        let json = json_payload(&message.payload)?;
        Ok(Frame::text(json.as_str().len() + message.topic.as_str().len() + OVERHEAD, |out| {
            write_start(out, &message.topic, message.event.as_str());
            out.extend_from_slice(b",\"payload\":");
            out.extend_from_slice(json.as_str().as_bytes());
            out.extend_from_slice(b",\"ref\":");
            write_ref(out, message.reference.as_ref());
            out.push(b'}');
        }))
    }

    fn encode_reply(&self, reply: &Reply) -> Result<Frame, EncodeError> {
        let json = json_payload(&reply.payload)?;
        Ok(Frame::text(json.as_str().len() + reply.topic.as_str().len() + OVERHEAD, |out| {
            write_start(out, &reply.topic, "phx_reply");
            out.extend_from_slice(b",\"payload\":");
            write_response(out, reply.status.as_str(), json);
            out.extend_from_slice(b",\"ref\":");
            write_ref(out, reply.reference.as_ref());
            out.push(b'}');
        }))
    }

    fn encode_broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        self.encode_push(&Message {
            join_ref: None,
            reference: None,
            topic: broadcast.topic.clone().into(),
            event: broadcast.event.clone().into(),
            payload: broadcast.payload.clone(),
        })
    }
}

fn json_payload(payload: &Payload) -> Result<&Json, EncodeError> {
    payload.as_json().ok_or(EncodeError::BinaryUnsupported("V1"))
}

fn write_start(out: &mut Vec<u8>, topic: &Topic, event: &str) {
    out.extend_from_slice(b"{\"topic\":");
    topic.write_json(out);
    out.extend_from_slice(b",\"event\":");
    write_string(out, event);
}

fn decode_object(text: &Text) -> Result<Message, DecodeError> {
    let mut scanner = Scanner::new(text);
    let (mut join_ref, mut reference, mut topic, mut event, mut payload) = (None, None, None, None, None);
    scanner.punctuation(b'{', "an object")?;
    if !scanner.try_punctuation(b'}') {
        loop {
            let key = scanner.key()?;
            let value = scanner.value()?;
            let field = match &*key.string(text) {
                "join_ref" => Some(&mut join_ref),
                "ref" => Some(&mut reference),
                "topic" => Some(&mut topic),
                "event" => Some(&mut event),
                "payload" => Some(&mut payload),
                _ => None,
            };
            // Like in Phoenix, the first of several equal keys counts.
            if let Some(field) = field {
                field.get_or_insert(value);
            }
            if !scanner.try_punctuation(b',') {
                scanner.punctuation(b'}', "',' or '}'")?;
                break;
            }
        }
    }
    scanner.end()?;
    Ok(Message {
        join_ref: join_ref.and_then(|span| read_ref(text, span)),
        reference: read_ref(text, reference.ok_or(DecodeError::MissingKey("ref"))?),
        topic: read_topic(text, topic.ok_or(DecodeError::MissingKey("topic"))?),
        event: read_event(text, event.ok_or(DecodeError::MissingKey("event"))?),
        payload: Payload::Json(read_payload(text, payload.ok_or(DecodeError::MissingKey("payload"))?)),
    })
}
