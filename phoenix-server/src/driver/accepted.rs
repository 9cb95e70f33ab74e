use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use phoenix_proto::server::{Config, Connection};
use phoenix_proto::{Routes, Serializer};

use super::Driver;
use super::connection::ChannelDriver;
use super::raw::{RawDriver, RawParts};
use super::timer::now;
use crate::Transport;
use crate::inbox::Inbox;
use crate::pubsub::{PubSub, SubscriberId, Target, TopicGuard};
use crate::registry::Registration;
use crate::socket::Connected;
use crate::telemetry::Diagnostics;

/// An accepted connection that has no transport yet.
///
/// It becomes a task by [`run`](Self::run); dropped instead, it never was.
#[must_use = "an accepted connection does nothing until it is run"]
pub struct Accepted {
    kind: Kind,
}

enum Kind {
    Channels(AcceptedParts),
    Raw(RawParts),
}

pub(crate) struct AcceptedParts {
    pub(crate) socket: Arc<dyn Connected>,
    /// The topic on which the connection is told to disconnect.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) serializer: Arc<dyn Serializer>,
    pub(crate) config: Config,
    pub(crate) timeouts: Timeouts,
    pub(crate) pubsub: PubSub,
    pub(crate) diagnostics: Arc<Diagnostics>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) transport: &'static str,
    /// Held for as long as the connection lives.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    pub(crate) registration: Registration,
    pub(crate) span: tracing::Span,
}

/// Limits in time that the driver watches itself.
#[derive(Debug, Clone)]
pub(crate) struct Timeouts {
    /// How long nothing may be written while something waits to be.
    pub(crate) write: Duration,
    /// How long a closing handshake may take.
    pub(crate) close: Duration,
    /// How long channels may take for their last callbacks.
    pub(crate) terminate: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            write: Duration::from_secs(30),
            close: Duration::from_secs(2),
            terminate: Duration::from_secs(5),
        }
    }
}

impl Accepted {
    pub(crate) fn new(parts: AcceptedParts) -> Self {
        Self { kind: Kind::Channels(parts) }
    }

    /// A connection of a socket without channels.
    pub(crate) fn raw(parts: RawParts) -> Self {
        Self { kind: Kind::Raw(parts) }
    }

    /// Alive as long as the connection or one of its channels is; never for a socket without channels.
    pub(crate) fn watch(&self) -> Weak<dyn Any + Send + Sync> {
        match &self.kind {
            Kind::Channels(parts) => parts.socket.watch(),
            Kind::Raw(_) => Weak::<()>::new(),
        }
    }

    /// Connects the session with a transport. The future it returns is the connection: it ends when the
    /// connection has, and dropping it cuts the connection.
    pub fn run<T: Transport>(self, transport: T) -> Driver<T> {
        match self.kind {
            Kind::Channels(parts) => Driver::channels(run_channels(parts, transport)),
            Kind::Raw(parts) => {
                let subscription = subscribe_to_id(parts.id.as_deref(), &parts.inbox, &parts.pubsub);
                Driver::raw(RawDriver::new(parts, subscription, transport))
            }
        }
    }
}

fn run_channels<T: Transport>(parts: AcceptedParts, transport: T) -> ChannelDriver<T> {
    let id_subscription = subscribe_to_id(parts.id.as_deref(), &parts.inbox, &parts.pubsub);
    let machine = Connection::new(
        parts.config.clone(),
        Arc::clone(&parts.routes),
        Arc::clone(&parts.serializer),
        now(),
    );
    ChannelDriver::new(parts, machine, id_subscription, transport)
}

/// Lets the connection be disconnected by its id.
fn subscribe_to_id(id: Option<&str>, inbox: &Arc<Inbox>, pubsub: &PubSub) -> Option<TopicGuard> {
    let target = Target::Connection { inbox: Arc::clone(inbox) };
    id.map(|id| pubsub.attach(id.into(), SubscriberId::next(), target))
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match &self.kind {
            Kind::Channels(parts) => parts.transport,
            Kind::Raw(parts) => parts.transport,
        };
        f.debug_struct("Accepted").field("transport", &transport).finish_non_exhaustive()
    }
}
