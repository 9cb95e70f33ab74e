use std::fmt;

use bytes::Bytes;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};

use super::LongPoll;
use crate::driver::{Accepted, Driver, WebSocket};
use crate::websocket::{Deflater, Reader};

/// What becomes of a request.
#[derive(Debug)]
pub enum Answer {
    /// The path is none of the endpoint's: the request is the application's.
    NotFound,
    /// The request is answered.
    Response(Response<Bytes>),
    /// The request is one of a long-poll client; it is answered by `phoenix_adapter_longpoll::answer`, with its body.
    LongPoll(Box<LongPoll>),
    /// The request becomes a WebSocket.
    Upgrade(Box<Upgrade>),
}

/// An accepted WebSocket upgrade: the answer to send, and the connection that then begins.
#[must_use = "an upgrade does nothing until it is run"]
pub struct Upgrade {
    pub(super) response: Response<()>,
    pub(super) session: Accepted,
    pub(super) reader: Reader,
    pub(super) deflater: Option<Deflater>,
}

impl Upgrade {
    /// The answer to the request, status 101 with all headers.
    pub fn response(&self) -> &Response<()> {
        &self.response
    }

    /// Runs the connection over the stream that the request came on; `read_ahead` is what was read beyond the
    /// request. The stream should have `TCP_NODELAY` set.
    pub fn run<IO: AsyncRead + AsyncWrite + Unpin>(self, io: IO, read_ahead: &[u8]) -> Driver<WebSocket<IO>> {
        self.session.run(WebSocket::new(io, read_ahead, self.reader, self.deflater))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("response", &self.response).finish_non_exhaustive()
    }
}
