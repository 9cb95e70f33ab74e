use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use phoenix_proto::client::Received;
use phoenix_proto::server::{CloseCode, Config};
use phoenix_proto::{Event, Message, Payload, Ref, Serializers, Status, Text};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::wire::{ServerEnd, Wire};
use super::{TestChannel, TestRequest};
use crate::driver::{Accepted, AcceptedParts, Timeouts};
use crate::inbox::Inbox;
use crate::pubsub::{PubSub, Subscription};
use crate::registry::Registry;
use crate::{AcceptError, Endpoint, QueueLimits, Socket, socket};

/// A connection for tests (FEATURES M2–M7).
///
/// It speaks version 2 of the protocol, so that everything is encoded and decoded as for a real client. Dropping it
/// breaks the connection.
pub struct TestSocket {
    pub(super) client: Client,
    pubsub: PubSub,
    task: JoinHandle<()>,
    /// Alive as long as the connection or one of its channels is.
    socket: Weak<dyn Any + Send + Sync>,
}

/// What the channels of a connection share.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) wire: Arc<Wire>,
    pub(super) patience: Duration,
    next_ref: Arc<AtomicU64>,
}

/// A join that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the join was refused: {0:?}")]
pub struct JoinRefused(pub Payload);

/// The name of the transport, as in Phoenix.
pub(crate) const TRANSPORT: &str = "channel_test";

/// How long an assertion waits, as in `ExUnit`.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a join may take, and how long channels may take for their last callbacks.
const GRACE: Duration = Duration::from_secs(5);

impl TestSocket {
    /// Connects to the socket that is mounted at the path of `target`; its query holds the parameters
    /// (FEATURES M6).
    ///
    /// # Errors
    /// [`AcceptError`] as the socket's `connect` and the checks of the mount decide.
    ///
    /// # Panics
    /// If the target is no path with a query, and outside of a tokio runtime.
    pub async fn connect(endpoint: &Endpoint, target: &str) -> Result<Self, AcceptError> {
        Self::request(target).connect(endpoint).await
    }

    /// A request to connect with, for headers and more (FEATURES M7).
    pub fn request(target: &str) -> TestRequest {
        TestRequest::new(target)
    }

    /// A connection of a socket that did not have to connect; the endpoint is asked for nothing but its PubSub
    /// (FEATURES M2, M3).
    ///
    /// # Panics
    /// If a topic pattern of the socket is malformed, and outside of a tokio runtime.
    pub fn with<S: Socket>(endpoint: &Endpoint, socket: S) -> Self {
        let id = socket.id().map(Into::into);
        let (routes, socket) = socket::connected(socket).expect("the topic patterns are well-formed");
        let inbox = Arc::new(Inbox::new(QueueLimits::default()));
        let mut config = Config::default();
        config.idle_timeout = None;
        let accepted = Accepted::new(AcceptedParts {
            socket,
            id,
            routes,
            serializer: Serializers::default().negotiate(Some("2.0.0")).expect("version 2 is spoken"),
            config,
            timeouts: Timeouts::default(),
            pubsub: endpoint.pubsub().clone(),
            diagnostics: endpoint.diagnostics(),
            registration: Arc::<Registry>::default().register(Arc::clone(&inbox), TRANSPORT, None),
            inbox,
            transport: TRANSPORT,
            span: tracing::info_span!("socket", transport = TRANSPORT),
        });
        Self::run(accepted, endpoint.pubsub())
    }

    pub(super) fn run(accepted: Accepted, pubsub: &PubSub) -> Self {
        let socket = accepted.watch();
        let wire = Arc::new(Wire::default());
        let task = tokio::spawn(accepted.run(ServerEnd(Arc::clone(&wire))));
        let client = Client { wire, patience: PATIENCE, next_ref: Arc::default() };
        Self { client, pubsub: pubsub.clone(), task, socket }
    }

    /// Sets how long assertions wait, those of channels that are joined from now on too; 100 ms by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.client.patience = patience;
        self
    }

    /// Joins a topic (FEATURES M8, M11).
    ///
    /// # Errors
    /// [`JoinRefused`] with the payload of the answer, `{"reason": "join crashed"}` and
    /// `{"reason": "unmatched topic"}` included.
    ///
    /// # Panics
    /// If there is no answer within five seconds.
    pub async fn join(
        &self,
        topic: &str,
        params: impl Into<Payload>,
    ) -> Result<(Payload, TestChannel), JoinRefused> {
        self.join_with(topic, params.into(), None).await
    }

    /// The same, and subscribes the test to the topic, for
    /// [`assert_broadcast`](TestChannel::assert_broadcast) (FEATURES M9, M10).
    ///
    /// # Errors
    /// [`JoinRefused`].
    ///
    /// # Panics
    /// If there is no answer within five seconds.
    pub async fn subscribe_and_join(
        &self,
        topic: &str,
        params: impl Into<Payload>,
    ) -> Result<(Payload, TestChannel), JoinRefused> {
        self.join_with(topic, params.into(), Some(self.pubsub.subscribe(topic))).await
    }

    async fn join_with(
        &self,
        topic: &str,
        params: Payload,
        subscription: Option<Subscription>,
    ) -> Result<(Payload, TestChannel), JoinRefused> {
        let topic = Text::from(topic);
        let join_ref = self.client.send(&topic, Event::JOIN, params, None);
        let reply = self.client.wire.find(GRACE, |received| reply_to(received, &join_ref)).await;
        let (status, payload) =
            reply.unwrap_or_else(|found| panic!("the join of {topic:?} is not answered {found}"));
        if status != Status::OK {
            return Err(JoinRefused(payload));
        }
        let channel =
            TestChannel::new(self.client.clone(), topic, join_ref, self.pubsub.clone(), subscription);
        Ok((payload, channel))
    }

    /// Expects that the server closes the connection, with this code.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_closed(&self, code: CloseCode) {
        let closed = self.client.wire.closed(self.client.patience).await;
        assert_eq!(closed, Some(code), "the close code");
    }

    /// Breaks the connection, and waits until its channels have run their last callbacks, or five seconds are over
    /// (FEATURES M14).
    ///
    /// # Panics
    /// If the task of the connection does.
    pub async fn close(mut self) {
        self.client.wire.cut();
        (&mut self.task).await.expect("the connection does not panic");
        let ended = async {
            while self.socket.strong_count() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        // Those that do not end are abandoned.
        let _ = timeout(GRACE, ended).await;
    }
}

impl Client {
    /// Sends a message with a new reference, which is that of the join if there is none.
    pub(super) fn send(
        &self,
        topic: &Text,
        event: impl Into<Event>,
        payload: Payload,
        join_ref: Option<&Ref>,
    ) -> Ref {
        let number = self.next_ref.fetch_add(1, Ordering::Relaxed) + 1;
        let reference = Ref::string(&number.to_string());
        self.wire.send(&Message {
            join_ref: Some(join_ref.unwrap_or(&reference).clone()),
            reference: Some(reference.clone()),
            topic: topic.clone().into(),
            event: event.into(),
            payload,
        });
        reference
    }
}

/// Status and payload, if this is the reply to that message.
pub(super) fn reply_to(received: &Received, reference: &Ref) -> Option<(Status, Payload)> {
    match received {
        Received::Reply(reply) if reply.reference.as_ref() == Some(reference) => {
            Some((reply.status.clone(), reply.payload.clone()))
        }
        _ => None,
    }
}

impl Drop for TestSocket {
    fn drop(&mut self) {
        self.client.wire.cut();
    }
}

impl fmt::Debug for TestSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSocket").finish_non_exhaustive()
    }
}
