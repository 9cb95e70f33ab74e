//! Looking into a running endpoint (FEATURES P).

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use phoenix_proto::server::ChannelInfo;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::inbox::{Inbox, Item};

/// A connection, as [`Endpoint::sockets`](crate::Endpoint::sockets) lists it (FEATURES P1).
#[derive(Clone)]
#[non_exhaustive]
pub struct SocketInfo {
    /// The type of the socket.
    pub socket: &'static str,
    /// The name of the transport.
    pub transport: &'static str,
    /// What [`Socket::id`](crate::Socket::id) or [`RawSocket::id`](crate::RawSocket::id) returned.
    pub id: Option<Arc<str>>,
    pub(crate) inbox: Weak<Inbox>,
}

/// A connection that does not tell about its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It is gone.
    #[error("the connection is gone")]
    Gone,
    /// It did not answer within five seconds: a callback blocks its thread.
    #[error("the connection does not answer")]
    Timeout,
}

const PATIENCE: Duration = Duration::from_secs(5);

impl SocketInfo {
    /// The channels of the connection at this moment (FEATURES P4); none for a [`RawSocket`](crate::RawSocket).
    ///
    /// # Errors
    /// [`InspectError`].
    pub async fn channels(&self) -> Result<Vec<ChannelInfo>, InspectError> {
        let (answer, channels) = oneshot::channel();
        let inbox = self.inbox.upgrade().ok_or(InspectError::Gone)?;
        inbox.push(Item::Inspect(answer)).map_err(|_| InspectError::Gone)?;
        drop(inbox);
        match timeout(PATIENCE, channels).await {
            Ok(Ok(channels)) => Ok(channels),
            Ok(Err(_)) => Err(InspectError::Gone),
            Err(_) => Err(InspectError::Timeout),
        }
    }
}

impl fmt::Debug for SocketInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketInfo")
            .field("socket", &self.socket)
            .field("transport", &self.transport)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
