use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::Counters;
use crate::pubsub::envelope::{self, EnvelopeError, Sender};
use crate::pubsub::table::Table;

/// Where an engine puts the messages it received; cheap to clone.
#[derive(Clone)]
pub struct Inbound {
    table: Weak<Table>,
    own: Arc<Sender>,
    counters: Arc<Counters>,
}

impl Inbound {
    pub(in crate::pubsub) fn new(table: Weak<Table>, own: Arc<Sender>, counters: Arc<Counters>) -> Self {
        Self { table, own, counters }
    }

    /// Whether both lead to the same start of a node.
    pub(in crate::pubsub) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.own, &other.own)
    }

    /// Hands a message to the subscribers on this node, without waiting for any of them.
    ///
    /// This node's own publications are ignored; what is no such message at all is ignored and counted.
    pub fn deliver(&self, message: &Bytes) {
        let envelope = match envelope::decode(message) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::debug!(%error, "ignoring a message");
                let counter = match error {
                    EnvelopeError::UnknownVersion(_) => &self.counters.unknown_versions,
                    _ => &self.counters.malformed,
                };
                counter.add(1);
                return;
            }
        };
        if envelope.sender == *self.own {
            return;
        }
        self.counters.received.add(1);
        let Some(table) = self.table.upgrade() else { return };
        if let Err(error) = table.dispatch(&Arc::new(envelope.broadcast), None) {
            tracing::warn!(%error, "a broadcast of another node cannot be delivered");
            self.counters.undeliverable.add(1);
        }
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("node", &self.own.node).finish_non_exhaustive()
    }
}
