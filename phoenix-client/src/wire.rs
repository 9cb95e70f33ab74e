//! What goes over the wire, for those who want to watch it.

use bytes::Bytes;
use phoenix_proto::Incoming;
use phoenix_proto::client::ConnectionId;

/// Is told everything that goes over the wire.
///
/// It is called by the tasks that do the IO, so it must not block.
pub trait Observe: Send + Sync + 'static {
    /// Something went over the wire, or is about to.
    fn observe(&self, connection: ConnectionId, event: &WireEvent<'_>);
}

/// One thing that went over the wire.
#[derive(Debug)]
#[non_exhaustive]
pub enum WireEvent<'a> {
    /// An HTTP request: the upgrade of a WebSocket, or one of long polling.
    Request {
        /// Whether it is the upgrade of a WebSocket.
        upgrade: bool,
        /// The request line and the headers.
        request: &'a http::Request<()>,
        /// The body.
        body: &'a Bytes,
    },
    /// The answer to the last request of this method.
    Response {
        /// The method of the request.
        method: &'a http::Method,
        /// Whether it answers the upgrade of a WebSocket.
        upgrade: bool,
        /// The status and the headers.
        response: &'a http::Response<()>,
        /// The body.
        body: &'a Bytes,
    },
    /// A text or binary frame.
    Frame {
        /// Which way.
        direction: Direction,
        /// Its data.
        data: &'a Incoming,
    },
    /// A close frame.
    Close {
        /// Which way.
        direction: Direction,
        /// The code, if it has one.
        code: Option<u16>,
        /// The reason.
        reason: &'a str,
    },
    /// The server ended the byte stream of a WebSocket.
    End,
}

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From this client to the server.
    ToServer,
    /// From the server to this client.
    ToClient,
}
