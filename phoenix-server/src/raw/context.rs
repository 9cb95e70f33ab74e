use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use phoenix_proto::server::CloseCode;
use phoenix_proto::{Broadcast, Frame, Text};

use super::RawSocket;
use crate::SendError;
use crate::handle::Link;
use crate::inbox::Item;
use crate::pubsub::{PubSub, Target, TopicGuard};

/// What the callbacks of a [`RawSocket`] can do besides returning a result.
pub struct RawContext<S: RawSocket> {
    link: Arc<Link>,
    close_code: Option<CloseCode>,
    /// Dropped with the socket, so that no subscription outlives it.
    subscriptions: Vec<TopicGuard>,
    socket: PhantomData<fn(S)>,
}

impl<S: RawSocket> RawContext<S> {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, close_code: None, subscriptions: Vec::new(), socket: PhantomData }
    }

    /// The name of the transport: `websocket`, `longpoll` or that of a custom one.
    pub fn transport(&self) -> &str {
        self.link.transport
    }

    /// The PubSub of the endpoint.
    pub fn pubsub(&self) -> &PubSub {
        &self.link.pubsub
    }

    /// A handle by which any task can reach this connection.
    pub fn handle(&self) -> RawHandle<S::Info> {
        RawHandle { link: Arc::clone(&self.link), info: PhantomData }
    }

    /// Sends a frame before the callback returns.
    ///
    /// When the connection is gone, the frame goes nowhere. For a client that does not keep up see
    /// [`QueueLimits`](crate::QueueLimits).
    pub fn push(&self, frame: impl Into<Frame>) {
        // Of a connection that is gone its socket hears by its last callback.
        let _ = push(&self.link, frame.into());
    }

    /// Subscribes to a topic: its broadcasts arrive in [`handle_info`](RawSocket::handle_info) as `map` turns them
    /// into infos.
    pub fn subscribe(
        &mut self,
        topic: impl Into<Text>,
        map: impl Fn(&Arc<Broadcast>) -> S::Info + Send + Sync + 'static,
    ) {
        let target = Target::Info {
            link: Arc::clone(&self.link),
            map: Arc::new(move |broadcast| Box::new(map(broadcast))),
        };
        self.subscriptions.push(self.link.pubsub.attach(topic.into(), self.link.subscriber, target));
    }

    /// Ends all subscriptions to a topic.
    pub fn unsubscribe(&mut self, topic: &str) {
        self.subscriptions.retain(|guard| guard.topic() != topic);
    }

    /// The code in the client's close frame, in [`terminate`](RawSocket::terminate) after [`End::LocalClosed`]; `None` if it
    /// held none.
    ///
    /// [`End::LocalClosed`]: crate::End::LocalClosed
    pub fn close_code(&self) -> Option<CloseCode> {
        self.close_code
    }

    pub(super) fn set_close_code(&mut self, code: Option<CloseCode>) {
        self.close_code = code;
    }
}

/// Reaches one connection of a [`RawSocket`] from anywhere in the program; cheap to clone.
///
/// It does not keep the connection alive.
pub struct RawHandle<I> {
    link: Arc<Link>,
    info: PhantomData<fn(I)>,
}

impl<I: Send + 'static> RawHandle<I> {
    /// Sends an info to [`handle_info`](RawSocket::handle_info), behind what the socket already has.
    ///
    /// # Errors
    /// [`SendError::Gone`], or [`SendError::MailboxFull`] when as many infos wait as
    /// [may](crate::QueueLimits::mailbox).
    pub fn send(&self, info: I) -> Result<(), SendError> {
        self.link.inform(Box::new(info))
    }

    /// Sends a frame to the client, past the callbacks. A frame that is cloned for many connections is encoded once, and
    /// shared by all of them. For a client that does not keep up see [`QueueLimits`](crate::QueueLimits).
    ///
    /// # Errors
    /// [`SendError::Gone`].
    pub fn push(&self, frame: impl Into<Frame>) -> Result<(), SendError> {
        push(&self.link, frame.into())
    }
}

pub(super) fn push(link: &Link, frame: Frame) -> Result<(), SendError> {
    link.inbox.push(Item::Frame(link.channel, frame)).map_err(|_| SendError::Gone)
}

impl<I> Clone for RawHandle<I> {
    fn clone(&self) -> Self {
        Self { link: Arc::clone(&self.link), info: PhantomData }
    }
}

impl<S: RawSocket> fmt::Debug for RawContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawContext").field("transport", &self.link.transport).finish_non_exhaustive()
    }
}

impl<I> fmt::Debug for RawHandle<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawHandle").field("transport", &self.link.transport).finish_non_exhaustive()
    }
}
