use std::fmt;
use std::sync::Arc;

use phoenix_proto::{Broadcast, EncodeError, Payload, Text};
use thiserror::Error;

use super::engine::{Engine, PubSubStats, PublishError};
use super::envelope::is_open;
use super::remote::Remote;
use super::subscription::{Subscription, queue};
use super::table::{SubscriberId, Table, Target, TopicGuard};
use super::{NodeName, PubSubBuilder};
use crate::presence::{Names, Presence, UnknownPresence};

/// Publishes to topics and subscribes to them; cheap to clone (FEATURES K).
///
/// A broadcast is encoded at most once per protocol version, whatever the number of subscribers, and reaches
/// each of them in the order in which one publisher sent it (protocol §11).
///
/// With an [`Engine`] broadcasts reach other nodes too. They are handed to it first: when it refuses, nobody gets the
/// broadcast, on this node neither (protocol §16). What it accepted is delivered at most once, without a confirmation;
/// [`stats`](Self::stats) tells of losses.
#[derive(Clone)]
pub struct PubSub {
    table: Arc<Table>,
}

/// A broadcast that was not sent to anybody on this node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The event belongs to the protocol; clients would take it for the server's own.
    #[error("the event {0:?} is reserved")]
    ReservedEvent(String),
    /// The payload is neither a JSON object nor binary, or a subscriber's protocol version cannot
    /// represent it. In the latter case other nodes have got it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Other nodes cannot be reached.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Default for PubSub {
    fn default() -> Self {
        Self::local()
    }
}

impl PubSub {
    pub(super) fn new(table: Arc<Table>) -> Self {
        Self { table }
    }

    /// A PubSub of this process only.
    pub fn local() -> Self {
        Self::builder().local()
    }

    /// A PubSub that reaches other nodes by an engine, with a random node name and the default limits.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn with_engine(engine: impl Engine) -> Self {
        Self::builder().engine(engine)
    }

    /// Options for a PubSub.
    pub fn builder() -> PubSubBuilder {
        PubSubBuilder::default()
    }

    /// The name of this node (FEATURES K17).
    pub fn node_name(&self) -> &NodeName {
        self.table.node()
    }

    /// Sends an event to all subscribers of a topic.
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody on this node received it.
    pub fn broadcast(
        &self,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.publish(topic.into(), event.into(), payload.into(), None)
    }

    /// Sends an event to all subscribers of a topic except one (FEATURES K12).
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody on this node received it.
    pub fn broadcast_from(
        &self,
        from: &Subscription,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.publish(topic.into(), event.into(), payload.into(), Some(from.subscriber()))
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
        let broadcast = validated(topic.into(), event.into(), payload.into())?;
        self.table.dispatch(&broadcast, None)?;
        Ok(())
    }

    /// Sends an event to all subscribers of a topic on this node except one (FEATURES K14).
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn local_broadcast_from(
        &self,
        from: &Subscription,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        let broadcast = validated(topic.into(), event.into(), payload.into())?;
        self.table.dispatch(&broadcast, Some(from.subscriber()))?;
        Ok(())
    }

    /// Sends an event to all subscribers of a topic on one node, which may be this one (FEATURES K15). To a node that
    /// does not exist it is lost without an error.
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn direct_broadcast(
        &self,
        node: &NodeName,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        let broadcast = validated(topic.into(), event.into(), payload.into())?;
        self.direct(node, &broadcast)
    }

    /// Subscribes to a topic, with room for 1024 broadcasts; see [`Subscription`]. A second subscription
    /// delivers a second time.
    ///
    /// What other nodes broadcast in the moment before the engine has [settled](Self::settled) may be missed.
    pub fn subscribe(&self, topic: impl Into<Text>) -> Subscription {
        self.subscribe_with_capacity(topic, 1024)
    }

    /// Subscribes with room for another number of broadcasts.
    ///
    /// # Panics
    /// If `capacity` is 0.
    pub fn subscribe_with_capacity(&self, topic: impl Into<Text>, capacity: usize) -> Subscription {
        queue(capacity, |subscriber, sender| self.attach(topic.into(), subscriber, Target::Queue(sender)))
    }

    /// How many subscriptions a topic has on this node.
    pub fn local_subscribers(&self, topic: &str) -> usize {
        self.table.subscribers(topic)
    }

    /// Waits until broadcasts of other nodes to every topic that is subscribed to now arrive. While the engine is not
    /// connected that takes until it is again.
    pub async fn settled(&self) {
        if let Some(remote) = self.table.remote() {
            remote.settled().await;
        }
    }

    /// What became of the broadcasts between this node and others; all zero without an engine.
    pub fn stats(&self) -> PubSubStats {
        self.table.remote().map(Remote::stats).unwrap_or_default()
    }

    /// The presence that was started on this PubSub by this name.
    ///
    /// # Errors
    /// [`UnknownPresence`].
    pub fn presence(&self, name: &str) -> Result<Presence, UnknownPresence> {
        self.presences().get(name)
    }

    pub(crate) fn presences(&self) -> &Names {
        self.table.presences()
    }

    /// Sends to all subscribers but one.
    pub(crate) fn publish(
        &self,
        topic: Text,
        event: Text,
        payload: Payload,
        from: Option<SubscriberId>,
    ) -> Result<(), BroadcastError> {
        let broadcast = validated(topic, event, payload)?;
        if let Some(remote) = self.table.remote() {
            remote.publish(&broadcast)?;
        }
        self.table.dispatch(&broadcast, from)?;
        Ok(())
    }

    /// Sends a broadcast that the library itself made to the subscribers on this node.
    pub(crate) fn dispatch(&self, broadcast: &Arc<Broadcast>) -> Result<(), EncodeError> {
        self.table.dispatch(broadcast, None)?;
        Ok(())
    }

    /// Sends a broadcast that the library itself made to all other nodes.
    pub(crate) fn publish_remote(&self, broadcast: &Broadcast) -> Result<(), PublishError> {
        self.table.remote().map_or(Ok(()), |remote| remote.publish(broadcast))
    }

    /// Sends a broadcast that the library itself made to another node.
    pub(crate) fn publish_to(&self, node: &NodeName, broadcast: &Broadcast) -> Result<(), PublishError> {
        self.table.remote().map_or(Ok(()), |remote| remote.publish_to(node, broadcast))
    }

    /// Whether there are no other nodes.
    pub(crate) fn is_local(&self) -> bool {
        self.table.remote().is_none()
    }

    /// Sends a broadcast to one node.
    pub(crate) fn direct(&self, node: &NodeName, broadcast: &Arc<Broadcast>) -> Result<(), BroadcastError> {
        if node == self.node_name() {
            self.table.dispatch(broadcast, None)?;
        } else if let Some(remote) = self.table.remote() {
            remote.publish_to(node, broadcast)?;
        }
        Ok(())
    }

    pub(crate) fn attach(&self, topic: Text, subscriber: SubscriberId, target: Target) -> TopicGuard {
        self.table.subscribe(topic, subscriber, target)
    }
}

/// A broadcast that an application may make.
fn validated(topic: Text, event: Text, payload: Payload) -> Result<Arc<Broadcast>, BroadcastError> {
    if !is_open(&event) {
        return Err(BroadcastError::ReservedEvent(event.to_string()));
    }
    if !payload.is_pushable() {
        return Err(EncodeError::NotAnObject.into());
    }
    Ok(Arc::new(Broadcast { topic, event, payload }))
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub").field("node", self.node_name()).finish_non_exhaustive()
    }
}
