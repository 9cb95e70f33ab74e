//! Where sockets are mounted, and what becomes of an HTTP request (FEATURES D, E).

mod admission;
mod answer;
mod builder;
mod drain;
mod extensions;
mod longpoll;
mod mount;
mod options;
mod upgrade;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::{Either, join_all, ready};
use phoenix_proto::server::CloseReason;
use phoenix_proto::{Payload, Text};

use crate::SocketInfo;
use crate::driver::Accepted;
use crate::http_facts::{HttpRequest, SecretKeyBase};
use crate::pubsub::{BroadcastError, PubSub, Subscription};
use crate::telemetry::Diagnostics;
pub use admission::AcceptError;
pub use answer::{Answer, Upgrade};
pub use builder::{EndpointBuilder, EndpointError};
pub use drain::{DrainOptions, Drained, Drainer};
use extensions::Extensions;
pub use longpoll::LongPoll;
use mount::Mount;
pub use options::{ErrorHandler, LongPollOptions, SocketOptions, TransportOptions, WebSocketOptions};

/// The sockets of an application and everything they share; cheap to clone.
///
/// An adapter hands it the requests of a framework. The handles on it work anywhere in the program.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    mounts: Vec<Mount>,
    pubsub: PubSub,
    diagnostics: Arc<Diagnostics>,
    /// The first signs; never empty.
    secrets: Vec<SecretKeyBase>,
    extensions: Extensions,
}

impl Endpoint {
    /// An endpoint without sockets, to add some to.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::default()
    }

    /// Whether a path is that of a WebSocket or of long polling, so that an adapter leaves all others to the application.
    pub fn serves(&self, path: &str) -> bool {
        self.inner.mounts.iter().any(|mount| mount.find(path).is_some())
    }

    /// The paths of all WebSockets and of long polling as patterns, with variables as `:name`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.inner.mounts.iter().flat_map(Mount::paths)
    }

    /// Decides what becomes of a request: runs the checks of its mount and the socket's `connect`
    /// (protocol §7).
    ///
    /// What needs no waiting is decided before the future is polled: it holds nothing of a long-poll request.
    pub fn handle(&self, request: HttpRequest) -> impl Future<Output = Answer> + Send + use<> {
        let mut mounts = self.inner.mounts.iter();
        match mounts.find_map(|mount| mount.find(request.routed_path())) {
            Some(found) => found.handle(request, self),
            None => Either::Left(ready(Answer::NotFound)),
        }
    }

    /// Asks the socket that is mounted where the path of the request leads whether it accepts a connection
    /// over a transport of your own, one named in [`SocketOptions::transport`].
    ///
    /// The checks are those of a WebSocket, in the same order, but for the upgrade itself: origin, version,
    /// [`Socket::connect`](crate::Socket::connect). What is accepted has then to be
    /// [run](Accepted::run) over a [`Transport`](crate::Transport).
    ///
    /// # Errors
    /// [`AcceptError`] says why there is no connection; what the client is told of it is up to the transport.
    pub async fn accept(&self, transport: &str, request: &HttpRequest) -> Result<Accepted, AcceptError> {
        for mount in &self.inner.mounts {
            if let Some((admission, path)) = mount.find_custom(transport, request.routed_path()) {
                admission.log_request(request);
                let params = admission.params(&path?, request)?;
                return admission.connect(params, request, None, &self.inner.pubsub).await;
            }
        }
        Err(AcceptError::NotFound)
    }

    pub(crate) fn diagnostics(&self) -> Arc<Diagnostics> {
        Arc::clone(&self.inner.diagnostics)
    }

    /// Asks the socket that is mounted at the path of the request whether it accepts a test.
    pub(crate) async fn accept_for_test(&self, request: &HttpRequest) -> Result<Accepted, AcceptError> {
        for mount in &self.inner.mounts {
            if let Some((admission, path)) = mount.find_test(request.routed_path()) {
                let params = admission.params(&path?, request)?;
                return admission.connect(params, request, None, &self.inner.pubsub).await;
            }
        }
        Err(AcceptError::NotFound)
    }

    /// The PubSub that all sockets of this endpoint share.
    pub fn pubsub(&self) -> &PubSub {
        &self.inner.pubsub
    }

    /// The secrets of the endpoint, the current one first (FEATURES E12).
    pub fn secrets(&self) -> &[SecretKeyBase] {
        &self.inner.secrets
    }

    /// What a transport of another crate keeps with the endpoint: one value of each type, made when it is first
    /// asked for and dropped with the last clone of the endpoint. It must not hold the endpoint itself.
    pub fn extension<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.inner.extensions.get_or_insert(make)
    }

    /// Sends an event to all subscribers of a topic (FEATURES E3).
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn broadcast(
        &self,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.pubsub().broadcast(topic, event, payload)
    }

    /// Sends an event to all subscribers of a topic except one (FEATURES E5).
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn broadcast_from(
        &self,
        from: &Subscription,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.pubsub().broadcast_from(from, topic, event, payload)
    }

    /// Sends an event to all subscribers of a topic on this node (FEATURES E7).
    ///
    /// # Errors
    /// [`BroadcastError`]; then nobody received it.
    pub fn local_broadcast(
        &self,
        topic: impl Into<Text>,
        event: impl Into<Text>,
        payload: impl Into<Payload>,
    ) -> Result<(), BroadcastError> {
        self.pubsub().local_broadcast(topic, event, payload)
    }

    /// Sends an event to all subscribers of a topic on this node except one (FEATURES E8).
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
        self.pubsub().local_broadcast_from(from, topic, event, payload)
    }

    /// Subscribes to a topic until the subscription is dropped (FEATURES E1, E2).
    pub fn subscribe(&self, topic: impl Into<Text>) -> Subscription {
        self.pubsub().subscribe(topic)
    }

    /// Closes all connections with that socket id, on every node, with 1001; phoenix.js then reconnects
    /// (FEATURES A33, protocol §13).
    ///
    /// # Errors
    /// [`BroadcastError`] when other nodes cannot be reached.
    pub fn disconnect(&self, id: impl Into<Text>) -> Result<(), BroadcastError> {
        self.pubsub().broadcast(id, "disconnect", Payload::EMPTY)
    }

    /// All connections, for people to look at (FEATURES P1); see [`SocketInfo::channels`] for what they have joined.
    pub fn sockets(&self) -> Vec<SocketInfo> {
        self.inner.mounts.iter().flat_map(Mount::sockets).collect()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.inner.mounts.iter().map(|mount| mount.registry().len()).sum()
    }

    /// How many frames and broadcasts clients did not get so far because they, or their channels, were too slow; see
    /// [`QueueLimits`](crate::QueueLimits).
    pub fn dropped(&self) -> u64 {
        self.inner.mounts.iter().map(|mount| mount.registry().dropped()).sum()
    }

    /// Closes all connections with 1012, those without channels too (protocol §14), and returns their number.
    pub fn drain(&self) -> usize {
        self.inner.mounts.iter().map(|mount| mount.registry().close_all(&CloseReason::Draining)).sum()
    }

    /// Shuts down in order: refuses new connections with 503, closes all others with 1012 in the batches of
    /// their mounts, after what is queued for them, and waits until they are gone (FEATURES I). Then those presences of
    /// its PubSub end that [shall](crate::PresenceBuilder::permdown_on_shutdown).
    pub async fn shutdown(&self) -> Drained {
        let drained =
            join_all(self.inner.mounts.iter().map(|mount| mount.drain(&self.inner.diagnostics))).await;
        self.pubsub().presences().shut_down();
        drained.into_iter().fold(Drained::default(), |sum, one| Drained {
            closed: sum.closed + one.closed,
            remaining: sum.remaining + one.remaining,
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("paths", &self.paths().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
