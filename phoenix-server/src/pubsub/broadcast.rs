use std::fmt;
use std::sync::Arc;

use phoenix_proto::{Broadcast, EncodeError, Payload, Text, is_reserved_event};
use thiserror::Error;

use super::subscription::{Subscription, queue};
use super::table::{SubscriberId, Table, Target, TopicGuard};

/// Publishes to topics and subscribes to them; cheap to clone (FEATURES K).
///
/// A broadcast is encoded at most once per protocol version, whatever the number of subscribers, and reaches
/// each of them in the order in which one publisher sent it (protocol §11).
#[derive(Clone, Default)]
pub struct PubSub {
    table: Arc<Table>,
}

/// A broadcast that was not sent to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The event belongs to the protocol; clients would take it for the server's own.
    #[error("the event {0:?} is reserved")]
    ReservedEvent(String),
    /// The payload is neither a JSON object nor binary, or a subscriber's protocol version cannot
    /// represent it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl PubSub {
    /// A PubSub of this process only.
    pub fn local() -> Self {
        Self::default()
    }

    /// Sends an event to all subscribers of a topic.
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn broadcast(
        &self,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.local_broadcast(topic, event, payload)
    }

    /// Sends an event to all subscribers of a topic on this node.
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn local_broadcast(
        &self,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.dispatch(topic.into(), event.into(), payload.into(), None)
    }

    /// Subscribes to a topic, with room for 1024 broadcasts; see [`Subscription`]. A second subscription
    /// delivers a second time.
    pub fn subscribe(&self, topic: impl Into<Text>) -> Subscription {
        self.subscribe_with_capacity(topic, 1024)
    }

    /// Subscribes with room for another number of broadcasts.
    ///
    /// # Panics
    /// If `capacity` is 0.
    pub fn subscribe_with_capacity(&self, topic: impl Into<Text>, capacity: usize) -> Subscription {
        queue(capacity, |sender| self.attach(topic.into(), SubscriberId::next(), Target::Queue(sender)))
    }

    /// How many subscriptions a topic has on this node.
    pub fn local_subscribers(&self, topic: &str) -> usize {
        self.table.subscribers(topic)
    }

    /// Sends to all subscribers but one.
    pub(crate) fn dispatch(
        &self,
        topic: Text,
        event: Text,
        payload: Payload,
        from: Option<SubscriberId>,
    ) -> Result<(), BroadcastError> {
        if is_reserved_event(&event) {
            return Err(BroadcastError::ReservedEvent(event.to_string()));
        }
        if !payload.is_pushable() {
            return Err(EncodeError::NotAnObject.into());
        }
        self.table.dispatch(&Arc::new(Broadcast { topic, event, payload }), from)?;
        Ok(())
    }

    pub(crate) fn attach(&self, topic: Text, subscriber: SubscriberId, target: Target) -> TopicGuard {
        self.table.subscribe(topic, subscriber, target)
    }
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub").finish_non_exhaustive()
    }
}
