use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::delta::ReplicaDelta;
use super::entry::ReplicaRef;

/// The version written into every encoded message; others are refused when decoding.
const VERSION: u32 = 1;

/// What the replicas of a shard tell each other (protocol §17.3).
///
/// The encoding is JSON in a versioned envelope: metas are JSON text anyway and travel verbatim, unknown fields of a
/// later release are skipped, and the traffic can be read by people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// "I live, this is what I know", with the sender's own changes since the last heartbeat. To all.
    Heartbeat(Heartbeat),
    /// "Tell me what I missed." To one.
    TransferRequest(TransferRequest),
    /// The answer to a request. To one.
    TransferAck(TransferAck),
    /// "This replica is gone for good." To all.
    Permdown(ReplicaRef),
}

/// See [`Message::Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sender.
    pub from: ReplicaRef,
    /// What the sender knows.
    pub clocks: Clocks,
    /// The sender's changes, if any.
    pub delta: Option<ReplicaDelta>,
}

/// See [`Message::TransferRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferRequest {
    /// The sender's number for it.
    pub id: u64,
    /// The sender.
    pub from: ReplicaRef,
    /// What the sender knows; only these replicas are wanted.
    pub clocks: Clocks,
}

/// See [`Message::TransferAck`]. A large answer comes as several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferAck {
    /// The number of the request.
    pub id: u64,
    /// The sender.
    pub from: ReplicaRef,
    /// What the requester did not know.
    pub deltas: Vec<ReplicaDelta>,
}

/// Up to which clock a node knows each replica, itself included; replicas that are down are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(ReplicaRef, u64)>", into = "Vec<(ReplicaRef, u64)>")]
pub struct Clocks(pub BTreeMap<ReplicaRef, u64>);

impl From<Vec<(ReplicaRef, u64)>> for Clocks {
    fn from(clocks: Vec<(ReplicaRef, u64)>) -> Self {
        Self(clocks.into_iter().collect())
    }
}

impl From<Clocks> for Vec<(ReplicaRef, u64)> {
    fn from(clocks: Clocks) -> Self {
        clocks.0.into_iter().collect()
    }
}

impl FromIterator<(ReplicaRef, u64)> for Clocks {
    fn from_iter<I: IntoIterator<Item = (ReplicaRef, u64)>>(clocks: I) -> Self {
        Self(clocks.into_iter().collect())
    }
}

impl Clocks {
    /// Whether this knows everything that `other` knows.
    pub fn dominates(&self, other: &Self) -> bool {
        other.0.iter().all(|(replica, clock)| self.0.get(replica).is_some_and(|own| own >= clock))
    }
}

/// A message and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// Who shall get it.
    pub to: Destination,
    /// What to send.
    pub message: Message,
}

/// The receivers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Every other node, on the gossip topic of the shard.
    All,
    /// The node of this name.
    Node(Arc<str>),
}

/// A message that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A later release wrote it.
    #[error("unknown version {0} of a presence message")]
    UnknownVersion(u32),
    /// It is damaged, or no such message at all.
    #[error("malformed presence message")]
    Malformed(#[from] serde_json::Error),
}

impl Message {
    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            version: u32,
            message: &'a Message,
        }
        serde_json::to_vec(&Envelope { version: VERSION, message: self })
            .expect("messages hold nothing JSON cannot express")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            version: u32,
            #[serde(borrow)]
            message: &'a RawValue,
        }
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
        if envelope.version != VERSION {
            return Err(DecodeError::UnknownVersion(envelope.version));
        }
        Ok(serde_json::from_str(envelope.message.get())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(clocks: &[(&str, u64)]) -> Clocks {
        clocks.iter().map(|&(name, clock)| (ReplicaRef::new(name, 1), clock)).collect()
    }

    #[test]
    fn tc_01_dominates() {
        assert!(clocks(&[("a", 2), ("b", 1)]).dominates(&clocks(&[("a", 1), ("b", 1)])));
        assert!(clocks(&[("a", 2), ("b", 1)]).dominates(&clocks(&[("a", 2)])));
        assert!(!clocks(&[("a", 2)]).dominates(&clocks(&[("a", 1), ("b", 1)])));
        assert!(!clocks(&[("a", 1), ("b", 2)]).dominates(&clocks(&[("a", 2), ("b", 1)])));
        assert!(clocks(&[]).dominates(&clocks(&[])));
    }

    #[test]
    fn an_encoded_message_is_readable_json() {
        let message = Message::Heartbeat(Heartbeat {
            from: ReplicaRef::new("a", 7),
            clocks: clocks(&[("a", 2)]),
            delta: None,
        });
        let bytes = message.encode();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"version":1,"message":{"heartbeat":{"from":["a",7],"clocks":[[["a",1],2]],"delta":null}}}"#
        );
        assert_eq!(Message::decode(&bytes).unwrap(), message);
    }

    #[test]
    fn other_versions_and_garbage_are_told_apart() {
        let later = br#"{"version":2,"message":{"gossip":[]},"more":1}"#;
        assert!(matches!(Message::decode(later), Err(DecodeError::UnknownVersion(2))));
        for garbage in [&b""[..], b"\xff", b"[]", br#"{"version":1}"#, br#"{"version":1,"message":{"x":1}}"#]
        {
            assert!(matches!(Message::decode(garbage), Err(DecodeError::Malformed(_))));
        }
    }
}
