use std::fmt;
use std::sync::Arc;

use phoenix_proto::server::ChannelId;
use phoenix_proto::{Broadcast, Payload, Ref, Serializer, Status, Text};
use tracing::level_filters::LevelFilter;

use crate::Channel;
use crate::handle::{ChannelHandle, Link, ReplyTo, SendError};
use crate::presence::{Presence, PresenceOwner, UnknownPresence};
use crate::pubsub::{PubSub, Target, TopicGuard};
use crate::telemetry::{Diagnostics, Site, Stopwatch};

/// What a channel's callbacks can do besides returning a result.
pub struct Context<C: Channel> {
    link: Arc<Link>,
    socket: Arc<C::Socket>,
    route_data: Option<Arc<dyn std::any::Any + Send + Sync>>,
    /// Whether a message of the client is being handled.
    handles_message: bool,
    /// What a reply to that message carries.
    reference: Option<Ref>,
    /// Its own topic first, once joined. Dropped with the channel, so that no subscription outlives it.
    subscriptions: Vec<TopicGuard>,
    /// What it tracks, one owner for each presence. Dropped after the subscriptions, so that it is not told of its own
    /// leave.
    presences: Vec<PresenceOwner>,
    joined: bool,
}

/// A reply that is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The message carries no `ref`, or no message is being handled.
    #[error("there is no message that could be replied to")]
    NoReference,
}

impl<C: Channel> Context<C> {
    pub(crate) fn new(
        link: Arc<Link>,
        socket: Arc<C::Socket>,
        route_data: Option<Arc<dyn std::any::Any + Send + Sync>>,
    ) -> Self {
        Self {
            link,
            socket,
            route_data,
            handles_message: false,
            reference: None,
            subscriptions: Vec::new(),
            presences: Vec::new(),
            joined: false,
        }
    }

    /// The topic that was joined.
    pub fn topic(&self) -> &str {
        &self.link.topic
    }

    /// The socket, shared by all channels of the connection.
    pub fn socket(&self) -> &C::Socket {
        &self.socket
    }

    /// The data that was given to the route of this channel (FEATURES A14).
    pub fn route_data<T: 'static>(&self) -> Option<&T> {
        self.route_data.as_deref()?.downcast_ref()
    }

    /// The reference of the join, which everything this channel sends to its client carries.
    pub fn join_ref(&self) -> Option<&Ref> {
        self.link.join_ref.as_ref()
    }

    /// The reference of the message that is being handled.
    pub fn reference(&self) -> Option<&Ref> {
        self.reference.as_ref()
    }

    /// The name of the transport: `websocket`, `longpoll` or that of a custom one.
    pub fn transport(&self) -> &str {
        self.link.transport
    }

    /// The serializer that was negotiated.
    pub fn serializer(&self) -> &dyn Serializer {
        &*self.link.serializer
    }

    /// The PubSub of the endpoint.
    pub fn pubsub(&self) -> &PubSub {
        &self.link.pubsub
    }

    /// The presence that was started on this PubSub by this name.
    ///
    /// # Errors
    /// [`UnknownPresence`].
    pub fn presence(&self, name: &str) -> Result<Presence, UnknownPresence> {
        self.link.pubsub.presence(name)
    }

    /// A handle by which any task can reach this channel.
    pub fn handle(&self) -> ChannelHandle<C::Info> {
        ChannelHandle::new(Arc::clone(&self.link))
    }

    /// Pushes an event to this client (FEATURES B20).
    ///
    /// # Errors
    /// [`SendError`]: a reserved event, a payload that is neither a JSON object nor binary, or a channel
    /// that is not joined yet.
    pub fn push(&self, event: &str, payload: impl Into<Payload>) -> Result<(), SendError> {
        if !self.joined {
            return Err(SendError::NotJoined);
        }
        ignore_gone(self.link.push(event, payload.into()))
    }

    /// Replies to the message that is being handled, before the callback returns.
    ///
    /// # Errors
    /// [`SendError`]: no message is being handled, or the reply cannot be encoded.
    pub fn reply(&self, status: Status, payload: impl Into<Payload>) -> Result<(), SendError> {
        if !self.handles_message {
            return Err(SendError::NoMessage);
        }
        ignore_gone(self.link.reply(self.reference.clone(), status, payload.into()))
    }

    /// What is needed to reply to the message that is being handled later, from any task, and as often as
    /// wanted (FEATURES B25, B26).
    ///
    /// # Errors
    /// [`ReplyError::NoReference`] when the client asked for no reply.
    pub fn reply_to(&self) -> Result<ReplyTo, ReplyError> {
        let reference = self.reference.as_ref().ok_or(ReplyError::NoReference)?;
        Ok(ReplyTo::new(Arc::clone(&self.link), reference.detach()))
    }

    /// Broadcasts an event on the topic to all its subscribers, this client included (FEATURES B21).
    ///
    /// # Errors
    /// [`SendError`] when nobody received it.
    pub fn broadcast(&self, event: impl Into<Text>, payload: impl Into<Payload>) -> Result<(), SendError> {
        self.publish(event.into(), payload.into(), false)
    }

    /// Broadcasts an event on the topic to all its subscribers but this channel (FEATURES B23).
    ///
    /// # Errors
    /// [`SendError`] when nobody received it.
    pub fn broadcast_from(
        &self,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), SendError> {
        self.publish(event.into(), payload.into(), true)
    }

    /// Subscribes this channel to another topic: its broadcasts arrive in
    /// [`handle_info`](Channel::handle_info) as `map` turns them into infos (FEATURES B36).
    pub fn subscribe(
        &mut self,
        topic: impl Into<Text>,
        map: impl Fn(&Arc<Broadcast>) -> C::Info + Send + Sync + 'static,
    ) {
        let target = Target::Info {
            link: Arc::clone(&self.link),
            map: Arc::new(move |broadcast| Box::new(map(broadcast))),
        };
        self.subscriptions.push(self.link.pubsub.attach(topic.into(), self.link.subscriber, target));
    }

    /// Ends all of this channel's subscriptions to a topic. From its own topic no broadcasts reach the client
    /// any more, while the channel stays joined.
    pub fn unsubscribe(&mut self, topic: &str) {
        self.subscriptions.retain(|guard| guard.topic() != topic);
    }

    fn publish(&self, event: Text, payload: Payload, skip_self: bool) -> Result<(), SendError> {
        if !self.joined {
            return Err(SendError::NotJoined);
        }
        let from = skip_self.then_some(self.link.subscriber);
        self.link.pubsub.publish(self.link.topic.clone(), event, payload, from)?;
        Ok(())
    }

    /// The join is accepted: broadcasts on the topic reach the client from here on.
    pub(crate) fn joined(&mut self) {
        let target = Target::Fastlane {
            inbox: Arc::clone(&self.link.inbox),
            channel: self.link.channel,
            serializer: Arc::clone(&self.link.serializer),
            intercepts: (!C::INTERCEPTS.is_empty()).then(|| (Arc::clone(&self.link), C::INTERCEPTS)),
        };
        self.subscriptions.reserve_exact(1);
        self.subscriptions.push(self.link.pubsub.attach(
            self.link.topic.clone(),
            self.link.subscriber,
            target,
        ));
        self.joined = true;
    }

    /// What this channel tracks of a presence, and its topic.
    pub(crate) fn presence_owner(&mut self, presence: &Presence) -> (&mut PresenceOwner, &str) {
        let known = self.presences.iter().position(|owner| owner.belongs_to(presence));
        let index = known.unwrap_or_else(|| {
            self.presences.reserve_exact(1);
            self.presences.push(presence.owner());
            self.presences.len() - 1
        });
        (&mut self.presences[index], &self.link.topic)
    }

    pub(crate) fn diagnostics(&self) -> &Diagnostics {
        &self.link.diagnostics
    }

    /// Measures a callback, and keeps what it is given, if somebody wants to hear of it.
    pub(crate) fn stopwatch(&self, level: LevelFilter, payload: &Payload) -> Option<(Stopwatch, Payload)> {
        self.diagnostics().stopwatch(level).map(|watch| (watch, payload.clone()))
    }

    /// Where its callbacks run, for the log.
    pub(crate) fn site(&self) -> Site<'_> {
        Site { channel: std::any::type_name::<C>(), topic: &self.link.topic, transport: self.link.transport }
    }

    pub(crate) fn channel(&self) -> ChannelId {
        self.link.channel
    }

    pub(crate) fn begin_message(&mut self, reference: Option<Ref>) {
        self.handles_message = true;
        self.reference = reference;
    }

    pub(crate) fn end_message(&mut self) {
        self.handles_message = false;
        self.reference = None;
    }
}

/// A channel that outlives its connection for a moment talks to nobody, which is no fault of its own.
fn ignore_gone(sent: Result<(), SendError>) -> Result<(), SendError> {
    match sent {
        Err(SendError::Gone) => Ok(()),
        other => other,
    }
}

impl<C: Channel> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("topic", &self.link.topic)
            .field("join_ref", &self.link.join_ref)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}
