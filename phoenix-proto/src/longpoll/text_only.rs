use std::sync::Arc;

use crate::{Broadcast, DecodeError, EncodeError, Frame, Incoming, Message, Opcode, Reply, Serializer};

/// A serializer for a transport that carries no binary from the server to the client, as long polling (quirk Q16).
///
/// Pushes and replies that would be binary are refused. Broadcasts are not, because one such client must not keep
/// the others from getting them: its [`Session`](super::Session) drops and counts them instead.
#[derive(Debug)]
pub struct TextOnly(Arc<dyn Serializer>);

impl TextOnly {
    /// Encodes and decodes as `serializer` does.
    pub fn new(serializer: Arc<dyn Serializer>) -> Self {
        Self(serializer)
    }
}

impl Serializer for TextOnly {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn decode(&self, incoming: Incoming) -> Result<Message, DecodeError> {
        self.0.decode(incoming)
    }

    fn encode_push(&self, message: &Message) -> Result<Frame, EncodeError> {
        self.0.encode_push(message).and_then(text)
    }

    fn encode_reply(&self, reply: &Reply) -> Result<Frame, EncodeError> {
        self.0.encode_reply(reply).and_then(text)
    }

    fn encode_broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        self.0.encode_broadcast(broadcast)
    }
}

fn text(frame: Frame) -> Result<Frame, EncodeError> {
    match frame.opcode() {
        Opcode::Text => Ok(frame),
        Opcode::Binary | Opcode::Ping | Opcode::Pong => Err(EncodeError::TextOnly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Payload, Status, V2};

    #[test]
    fn only_what_is_for_one_client_is_refused() {
        let serializer = TextOnly::new(Arc::new(V2));
        for (payload, binary) in [(Payload::EMPTY, false), (Payload::Binary("ABC".into()), true)] {
            let topic = || "a:b".into();
            let event = || "e".into();
            let push = serializer.encode_push(&Message {
                join_ref: None,
                reference: None,
                topic: topic(),
                event: event(),
                payload: payload.clone(),
            });
            let reply = serializer.encode_reply(&Reply {
                join_ref: None,
                reference: None,
                topic: topic(),
                status: Status::OK,
                payload: payload.clone(),
            });
            for encoded in [push, reply] {
                assert_eq!(encoded.err(), binary.then_some(EncodeError::TextOnly));
            }
            let broadcast = Broadcast { topic: "a:b".into(), event: "e".into(), payload };
            assert!(serializer.encode_broadcast(&broadcast).is_ok());
        }
    }
}
