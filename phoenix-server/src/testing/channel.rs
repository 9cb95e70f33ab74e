use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use phoenix_proto::client::Received;
use phoenix_proto::{Broadcast, Event, Message, Payload, Ref, Status, Text};
use tokio::time::{Instant, timeout_at};

use super::PayloadMatch;
use super::socket::{Client, reply_to};
use crate::BroadcastError;
use crate::pubsub::{PubSub, Subscription};

/// A joined topic of a [`TestSocket`](super::TestSocket) (FEATURES M8–M22).
///
/// What arrives is kept until an assertion takes it, in any order.
pub struct TestChannel {
    client: Client,
    topic: Text,
    join_ref: Ref,
    pubsub: PubSub,
    subscription: Option<Subscription>,
    /// Broadcasts that no assertion has taken yet.
    heard: VecDeque<Arc<Broadcast>>,
}

impl TestChannel {
    pub(super) fn new(
        client: Client,
        topic: Text,
        join_ref: Ref,
        pubsub: PubSub,
        subscription: Option<Subscription>,
    ) -> Self {
        Self { client, topic, join_ref, pubsub, subscription, heard: VecDeque::new() }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Sends a message as the client does, and returns its reference, for
    /// [`assert_reply`](Self::assert_reply) (FEATURES M12).
    ///
    /// # Panics
    /// If it cannot be encoded.
    pub fn push(&self, event: &str, payload: impl Into<Payload>) -> Ref {
        self.client.send(&self.topic, event, payload.into(), Some(&self.join_ref))
    }

    /// Leaves as the client does; the reply is to be asserted (FEATURES M13).
    pub fn leave(&self) -> Ref {
        self.client.send(&self.topic, Event::LEAVE, Payload::EMPTY, Some(&self.join_ref))
    }

    /// Broadcasts on the topic to everybody but the test itself (FEATURES M15).
    ///
    /// # Errors
    /// [`BroadcastError`].
    pub fn broadcast_from(
        &self,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        match &self.subscription {
            Some(subscription) => {
                self.pubsub.broadcast_from(subscription, self.topic.clone(), event, payload)
            }
            None => self.pubsub.broadcast(self.topic.clone(), event, payload),
        }
    }

    /// Expects an event at the client, pushed or broadcast, and returns its payload (FEATURES M16).
    ///
    /// # Panics
    /// If it does not arrive in time.
    pub async fn assert_push(&self, event: &str, payload: impl PayloadMatch) -> Payload {
        let pushed = self.find(event, &payload).await;
        pushed.unwrap_or_else(|found| panic!("no such push of {event:?} {found}"))
    }

    /// Expects that an event does not arrive at the client (FEATURES M17).
    ///
    /// # Panics
    /// If it does.
    pub async fn refute_push(&self, event: &str, payload: impl PayloadMatch) {
        if let Ok(payload) = self.find(event, &payload).await {
            panic!("unexpected push of {event:?}: {payload:?}");
        }
    }

    /// Expects a reply to a message, and returns its payload (FEATURES M18).
    ///
    /// # Panics
    /// If it does not arrive in time.
    pub async fn assert_reply(&self, reference: &Ref, status: Status, payload: impl PayloadMatch) -> Payload {
        let reply = self.find_reply(reference, &status, &payload).await;
        reply.unwrap_or_else(|found| panic!("no such reply with {status:?} to {reference:?} {found}"))
    }

    /// Expects that a message is not replied to like this (FEATURES M19).
    ///
    /// # Panics
    /// If it is.
    pub async fn refute_reply(&self, reference: &Ref, status: Status, payload: impl PayloadMatch) {
        if let Ok(payload) = self.find_reply(reference, &status, &payload).await {
            panic!("unexpected reply with {status:?} to {reference:?}: {payload:?}");
        }
    }

    /// Expects a broadcast on the topic, whether or not it gets to the client, and returns its payload
    /// (FEATURES M20).
    ///
    /// # Panics
    /// If it does not come in time, or the topic was not joined with
    /// [`subscribe_and_join`](super::TestSocket::subscribe_and_join).
    pub async fn assert_broadcast(&mut self, event: &str, payload: impl PayloadMatch) -> Payload {
        match self.find_broadcast(event, &payload).await {
            Some(payload) => payload,
            None => panic!("no such broadcast of {event:?}; heard: {:#?}", self.heard),
        }
    }

    /// Expects that there is no such broadcast on the topic (FEATURES M21).
    ///
    /// # Panics
    /// If there is, or the topic was not joined with
    /// [`subscribe_and_join`](super::TestSocket::subscribe_and_join).
    pub async fn refute_broadcast(&mut self, event: &str, payload: impl PayloadMatch) {
        if let Some(payload) = self.find_broadcast(event, &payload).await {
            panic!("unexpected broadcast of {event:?}: {payload:?}");
        }
    }

    /// Expects that the channel ends in order: `phx_close`.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_closed(&self) {
        self.assert_push("phx_close", ()).await;
    }

    /// Expects that the channel crashes: `phx_error`.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_crashed(&self) {
        self.assert_push("phx_error", ()).await;
    }

    async fn find(&self, event: &str, payload: &impl PayloadMatch) -> Result<Payload, String> {
        let is_own = |message: &Message| {
            message.topic == *self.topic
                && message.event == event
                && message.join_ref.as_ref().is_none_or(|join_ref| *join_ref == self.join_ref)
                && payload.matches(&message.payload)
        };
        let pick = |received: &Received| match received {
            Received::Message(message) if is_own(message) => Some(message.payload.clone()),
            _ => None,
        };
        self.client.wire.find(self.client.patience, pick).await
    }

    async fn find_reply(
        &self,
        reference: &Ref,
        status: &Status,
        payload: &impl PayloadMatch,
    ) -> Result<Payload, String> {
        let pick = |received: &Received| {
            let (replied, response) = reply_to(received, reference)?;
            (replied == *status && payload.matches(&response)).then_some(response)
        };
        self.client.wire.find(self.client.patience, pick).await
    }

    async fn find_broadcast(&mut self, event: &str, payload: &impl PayloadMatch) -> Option<Payload> {
        let deadline = Instant::now() + self.client.patience;
        let subscription = self.subscription.as_mut().expect("the topic is joined with `subscribe_and_join`");
        let wanted =
            |broadcast: &Arc<Broadcast>| broadcast.event == event && payload.matches(&broadcast.payload);
        if let Some(at) = self.heard.iter().position(wanted) {
            return self.heard.remove(at).map(|broadcast| broadcast.payload.clone());
        }
        while let Ok(broadcast) = timeout_at(deadline, subscription.recv()).await {
            let broadcast = broadcast.expect("a test asserts before it has lost broadcasts");
            if wanted(&broadcast) {
                return Some(broadcast.payload.clone());
            }
            self.heard.push_back(broadcast);
        }
        None
    }
}

impl fmt::Debug for TestChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestChannel")
            .field("topic", &self.topic)
            .field("join_ref", &self.join_ref)
            .finish_non_exhaustive()
    }
}
