use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use phoenix_proto::server::{ChannelId, CloseReason};
use phoenix_proto::{
    EncodeError, Message, Payload, Ref, Reply, Serializer, Status, Text, V2, is_reserved_event,
};
use thiserror::Error;

use crate::inbox::{Gone, Inbox, Item};
use crate::pubsub::{BroadcastError, PubSub, PublishError, SubscriberId};
use crate::telemetry::Diagnostics;

/// What connects everything that acts for one channel instance with its connection.
pub(crate) struct Link {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) channel: ChannelId,
    pub(crate) subscriber: SubscriberId,
    pub(crate) topic: Text,
    /// What pushes and replies carry: the join's `join_ref`, or its `ref` (protocol §6).
    pub(crate) join_ref: Option<Ref>,
    pub(crate) serializer: Arc<dyn Serializer>,
    pub(crate) pubsub: PubSub,
    pub(crate) transport: &'static str,
    pub(crate) diagnostics: Arc<Diagnostics>,
    /// How many infos and broadcasts wait for the channel.
    pub(crate) waiting: AtomicUsize,
}

/// A place in the mailbox of a channel, given back by dropping it.
pub(crate) struct Place(Arc<Link>);

/// A message that was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The event belongs to the protocol; a client would take it for the server's own.
    #[error("the event {0:?} is reserved")]
    ReservedEvent(String),
    /// The payload or a field cannot be represented in the client's protocol version.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Other nodes cannot be reached.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The join is not accepted yet.
    #[error("the channel is not joined yet")]
    NotJoined,
    /// As many infos and broadcasts wait for the channel as [may](crate::QueueLimits::mailbox).
    #[error("the mailbox of the channel is full")]
    MailboxFull,
    /// No message of the client is being handled.
    #[error("there is no message that could be replied to")]
    NoMessage,
    /// The connection is gone.
    #[error("the connection is gone")]
    Gone,
}

impl From<BroadcastError> for SendError {
    fn from(error: BroadcastError) -> Self {
        match error {
            BroadcastError::ReservedEvent(event) => Self::ReservedEvent(event),
            BroadcastError::Encode(error) => Self::Encode(error),
            BroadcastError::Publish(error) => Self::Publish(error),
        }
    }
}

impl Link {
    /// The link of a connection that has no channels.
    pub(crate) fn without_channel(
        inbox: Arc<Inbox>,
        pubsub: PubSub,
        transport: &'static str,
        diagnostics: Arc<Diagnostics>,
    ) -> Self {
        Self {
            inbox,
            channel: ChannelId::NONE,
            subscriber: SubscriberId::next(),
            topic: Text::default(),
            join_ref: None,
            // For messages of channels, of which there are none.
            serializer: Arc::new(V2),
            pubsub,
            transport,
            diagnostics,
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn push(&self, event: &str, payload: Payload) -> Result<(), SendError> {
        if is_reserved_event(event) {
            return Err(SendError::ReservedEvent(event.to_owned()));
        }
        if !payload.is_pushable() {
            return Err(EncodeError::NotAnObject.into());
        }
        let frame = self.serializer.encode_push(&Message {
            join_ref: self.join_ref.clone(),
            reference: None,
            topic: self.topic.clone().into(),
            event: event.into(),
            payload,
        })?;
        self.send(Item::Frame(self.channel, frame))
    }

    pub(crate) fn reply(
        &self,
        reference: Option<Ref>,
        status: Status,
        payload: Payload,
    ) -> Result<(), SendError> {
        let topic = self.topic.clone().into();
        let join_ref = self.join_ref.clone();
        let frame = self.serializer.encode_reply(&Reply { join_ref, reference, topic, status, payload })?;
        self.send(Item::Frame(self.channel, frame))
    }

    /// Sends an info to the channel.
    pub(crate) fn inform(self: &Arc<Self>, info: Box<dyn Any + Send>) -> Result<(), SendError> {
        let place = self.reserve().ok_or(SendError::MailboxFull)?;
        self.send(Item::Info(self.channel, info, place))
    }

    /// Sends what was broadcast to the channel, or applies the policy for slow clients: a publisher is not to blame.
    pub(crate) fn mail(self: &Arc<Self>, item: impl FnOnce(Place) -> Item) -> Result<(), Gone> {
        match self.reserve() {
            Some(place) => self.inbox.push(item(place)),
            None => self.inbox.overflow(),
        }
    }

    /// A place in the mailbox, if there is one left.
    fn reserve(self: &Arc<Self>) -> Option<Place> {
        let limit = self.inbox.mailbox_limit();
        let taken =
            self.waiting.fetch_update(Relaxed, Relaxed, |waiting| (waiting < limit).then_some(waiting + 1));
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }

    fn send(&self, item: Item) -> Result<(), SendError> {
        self.inbox.push(item).map_err(|_| SendError::Gone)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.topic).finish()
    }
}

/// Reaches one channel instance from anywhere in the program; cheap to clone.
///
/// It does not keep the channel alive. What is sent after the channel ended goes nowhere.
pub struct ChannelHandle<I> {
    link: Arc<Link>,
    info: PhantomData<fn(I)>,
}

impl<I: Send + 'static> ChannelHandle<I> {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, info: PhantomData }
    }

    /// The topic of the channel.
    pub fn topic(&self) -> &str {
        &self.link.topic
    }

    /// Sends an info to [`handle_info`](crate::Channel::handle_info), behind what the channel already has.
    ///
    /// # Errors
    /// [`SendError::Gone`], or [`SendError::MailboxFull`] when the channel does not keep up.
    pub fn send(&self, info: I) -> Result<(), SendError> {
        self.link.inform(Box::new(info))
    }

    /// Pushes an event to the client of the channel.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn push(&self, event: &str, payload: impl Into<Payload>) -> Result<(), SendError> {
        self.link.push(event, payload.into())
    }

    /// Ends the channel at once, without [`terminate`](crate::Channel::terminate): the client gets
    /// `phx_error` and joins again.
    ///
    /// # Errors
    /// [`SendError::Gone`].
    pub fn abort(&self) -> Result<(), SendError> {
        self.link.send(Item::Abort(self.link.channel))
    }

    /// Closes the whole connection of the channel as a drain does, with 1012 (protocol §14).
    ///
    /// # Errors
    /// [`SendError::Gone`].
    pub fn drain(&self) -> Result<(), SendError> {
        self.link.send(Item::Close(Box::new(CloseReason::Draining)))
    }

    /// Cuts the whole connection of the channel: no close frame is sent and nothing that waits is written, as if
    /// the process of the connection had crashed (FINDINGS §13). Clients reconnect.
    ///
    /// # Errors
    /// [`SendError::Gone`].
    pub fn cut(&self) -> Result<(), SendError> {
        self.link.send(Item::Cut)
    }
}

impl<I> Clone for ChannelHandle<I> {
    fn clone(&self) -> Self {
        Self { link: Arc::clone(&self.link), info: PhantomData }
    }
}

impl<I> fmt::Debug for ChannelHandle<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelHandle").field(&self.link.topic).finish()
    }
}

/// Replies to one message, from any task and as often as wanted; phoenix.js uses the first reply only
/// (FEATURES B25).
#[derive(Clone)]
pub struct ReplyTo {
    link: Arc<Link>,
    reference: Ref,
}

impl ReplyTo {
    pub(crate) fn new(link: Arc<Link>, reference: Ref) -> Self {
        Self { link, reference }
    }

    /// Sends a reply. It goes nowhere when the channel has ended meanwhile.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&self, status: Status, payload: impl Into<Payload>) -> Result<(), SendError> {
        self.link.reply(Some(self.reference.clone()), status, payload.into())
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("topic", &self.link.topic)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}
