//! The body of an answer, which knows whether it was fetched.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use phoenix_proto::longpoll::PollId;

use crate::relay::RemotePoll;
use crate::session::Session;

/// The body of an answer: all of it in one piece.
///
/// When it is dropped before the HTTP server has taken its bytes, the messages in it are handed out again with
/// the next poll of the session. Pass it on as a body; reading it into memory counts as taking it.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Bytes,
    delivery: Option<Delivery>,
}

/// Messages on their way to the client. Dropped before they are written, they are lost.
pub(crate) enum Delivery {
    Here(LocalPoll),
    Elsewhere(RemotePoll),
}

/// A poll of a session of this node that has its messages.
pub(crate) struct LocalPoll {
    session: Arc<Session>,
    poll: PollId,
    written: bool,
}

impl Body {
    pub(crate) fn with_delivery(bytes: impl Into<Bytes>, delivery: Option<Delivery>) -> Self {
        Self { bytes: bytes.into(), delivery }
    }

    /// Takes the bytes to hand them to the HTTP server: what they hold is then the client's.
    pub fn take(&mut self) -> Bytes {
        match self.delivery.take() {
            Some(Delivery::Here(mut poll)) => poll.written(),
            Some(Delivery::Elsewhere(mut poll)) => poll.written(),
            None => {}
        }
        std::mem::take(&mut self.bytes)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::with_delivery(bytes, None)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.take();
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl LocalPoll {
    pub(crate) fn new(session: Arc<Session>, poll: PollId) -> Self {
        Self { session, poll, written: false }
    }

    fn written(&mut self) {
        self.written = true;
        self.session.written(self.poll);
    }
}

impl Drop for LocalPoll {
    fn drop(&mut self) {
        if !self.written {
            self.session.lost(self.poll);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here(_) => "Here",
            Self::Elsewhere(_) => "Elsewhere",
        })
    }
}
