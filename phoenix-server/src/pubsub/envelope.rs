use bytes::{BufMut, Bytes, BytesMut};
use phoenix_proto::{Broadcast, Json, Payload, Text, is_reserved_event};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::INTERNAL_EVENT;

/// What travels between nodes: a broadcast and who sent it.
///
/// `phx`, one byte of version, four bytes of header length (big endian), the header as JSON, the payload as it is. Fields
/// that a later release adds to the header are skipped; a layout that cannot be skipped gets another version.
pub(super) struct Envelope {
    pub(super) sender: Sender,
    pub(super) broadcast: Broadcast,
}

/// One start of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) node: Text,
    pub(super) start: u64,
}

/// Bytes that are no broadcast of another node.
#[derive(Debug, Error)]
pub(super) enum EnvelopeError {
    #[error("not a message of this program")]
    Foreign,
    #[error("unknown version {0}")]
    UnknownVersion(u8),
    #[error("malformed header")]
    Header(#[from] serde_json::Error),
    #[error("malformed payload")]
    Payload,
    #[error("the event {0:?} is reserved")]
    ReservedEvent(String),
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    node: std::borrow::Cow<'a, str>,
    start: u64,
    #[serde(borrow)]
    topic: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    event: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    binary: bool,
}

const MAGIC: [u8; 3] = *b"phx";
const VERSION: u8 = 1;
const PREFIX: usize = 8;

pub(super) fn encode(sender: &Sender, broadcast: &Broadcast) -> Bytes {
    let header = serde_json::to_vec(&Header {
        node: (&*sender.node).into(),
        start: sender.start,
        topic: (&*broadcast.topic).into(),
        event: (&*broadcast.event).into(),
        binary: broadcast.payload.as_binary().is_some(),
    })
    .expect("strings and numbers can be written as JSON");
    let payload = match &broadcast.payload {
        Payload::Json(json) => json.as_str().as_bytes(),
        Payload::Binary(data) => data,
    };
    let mut out = BytesMut::with_capacity(PREFIX + header.len() + payload.len());
    out.put_slice(&MAGIC);
    out.put_u8(VERSION);
    out.put_u32(u32::try_from(header.len()).expect("topics and events are shorter than 4 GiB"));
    out.put_slice(&header);
    out.put_slice(payload);
    out.freeze()
}

pub(super) fn decode(bytes: &Bytes) -> Result<Envelope, EnvelopeError> {
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX>().ok_or(EnvelopeError::Foreign)?;
    let [magic @ .., version, l0, l1, l2, l3] = *prefix;
    if magic != MAGIC {
        return Err(EnvelopeError::Foreign);
    }
    if version != VERSION {
        return Err(EnvelopeError::UnknownVersion(version));
    }
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let (header, payload) = rest.split_at_checked(length).ok_or(EnvelopeError::Foreign)?;
    let header: Header<'_> = serde_json::from_slice(header)?;
    if is_reserved_event(&header.event) {
        return Err(EnvelopeError::ReservedEvent(header.event.into_owned()));
    }
    let payload = bytes.slice_ref(payload);
    let payload = if header.binary {
        Payload::Binary(payload)
    } else {
        let text = Text::from_utf8(payload).map_err(|_| EnvelopeError::Payload)?;
        Payload::Json(Json::from_text(&text).map_err(|_| EnvelopeError::Payload)?)
    };
    if !payload.is_pushable() {
        return Err(EnvelopeError::Payload);
    }
    let sender = Sender { node: (&*header.node).into(), start: header.start };
    let broadcast = Broadcast { topic: (&*header.topic).into(), event: (&*header.event).into(), payload };
    Ok(Envelope { sender, broadcast })
}

/// Whether applications may broadcast an event.
pub(super) fn is_open(event: &str) -> bool {
    !is_reserved_event(event) && event != INTERNAL_EVENT
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sender() -> Sender {
        Sender { node: "a".into(), start: 7 }
    }

    fn broadcast(payload: impl Into<Payload>) -> Broadcast {
        Broadcast { topic: "room:é".into(), event: "ev\"il".into(), payload: payload.into() }
    }

    fn raw(header: &str, payload: &[u8]) -> Bytes {
        let length = u32::try_from(header.len()).unwrap().to_be_bytes();
        [b"phx\x01", &length[..], header.as_bytes(), payload].concat().into()
    }

    #[test]
    fn json_and_binary_payloads_arrive_as_they_were() {
        for broadcast in [broadcast(json!({"a": [1, "ü"]})), broadcast(Bytes::from_static(b"\0\xff{}"))] {
            let envelope = decode(&encode(&sender(), &broadcast)).unwrap();
            assert_eq!(envelope.sender, sender());
            assert_eq!(envelope.broadcast, broadcast);
        }
    }

    #[test]
    fn the_layout_is_stable_and_a_later_header_may_have_more() {
        let broadcast = Broadcast { topic: "t".into(), event: "e".into(), payload: Payload::EMPTY };
        let header = r#"{"node":"a","start":7,"topic":"t","event":"e"}"#;
        assert_eq!(encode(&sender(), &broadcast), raw(header, b"{}"));
        let later = raw(r#"{"node":"a","start":7,"topic":"t","event":"e","hops":[1]}"#, b"{}");
        assert_eq!(decode(&later).unwrap().broadcast, broadcast);
    }

    #[test]
    fn foreign_later_and_malformed_messages_are_told_apart() {
        assert!(matches!(decode(&Bytes::from_static(b"hello, world")), Err(EnvelopeError::Foreign)));
        assert!(matches!(decode(&Bytes::new()), Err(EnvelopeError::Foreign)));
        assert!(matches!(
            decode(&Bytes::from_static(b"phx\x02\0\0\0\0")),
            Err(EnvelopeError::UnknownVersion(2))
        ));
        assert!(matches!(
            decode(&Bytes::from_static(b"phx\x01\xff\xff\xff\xff")),
            Err(EnvelopeError::Foreign)
        ));
        assert!(matches!(decode(&raw("{}", b"{}")), Err(EnvelopeError::Header(_))));
        let header = r#"{"node":"a","start":7,"topic":"t","event":"e"}"#;
        for payload in [&b"[]"[..], b"{", b"\xff", b""] {
            assert!(matches!(decode(&raw(header, payload)), Err(EnvelopeError::Payload)), "{payload:?}");
        }
        let reserved = r#"{"node":"a","start":7,"topic":"t","event":"phx_close"}"#;
        assert!(matches!(decode(&raw(reserved, b"{}")), Err(EnvelopeError::ReservedEvent(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0..80usize) {
            let _ = decode(&bytes.into());
            let whole = encode(&sender(), &broadcast(json!({"n": 1})));
            let part = whole.slice(..cut.min(whole.len()));
            prop_assert!(part.len() == whole.len() || decode(&part).is_err());
        }
    }
}
