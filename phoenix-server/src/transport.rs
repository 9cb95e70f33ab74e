use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use phoenix_proto::server::CloseCode;
use phoenix_proto::{Frame, Incoming};

use crate::End;
use crate::inbox::Load;

/// Carries the frames of one connection: a WebSocket, a long-poll session, or anything of your own (FEATURES C22).
///
/// [`Accepted::run`](crate::Accepted::run) drives it. All methods are polled by one task; a `Pending` must
/// leave the task's waker behind, as in every `poll` function.
pub trait Transport: Unpin {
    /// Receives whatever is there into `incoming`: all of it that was read at once, in order.
    ///
    /// `Ready(Ok(()))` means that bytes arrived, even if no message is complete yet, and starts the idle time
    /// again. It is not called while the connection has more to do than it should (backpressure).
    ///
    /// # Errors
    /// [`Disconnect`] ends the connection; what is in `incoming` then still counts.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>>;

    /// Writes as much of `outgoing` as goes without waiting; `Ready` when nothing is left, neither in it nor
    /// in a buffer of the transport.
    ///
    /// # Errors
    /// An error ends the connection.
    fn poll_send(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>>;

    /// Says good-bye with a close code and closes the connection; polled until it is ready, a few seconds at
    /// most.
    fn poll_close(&mut self, cx: &mut Context<'_>, code: Option<CloseCode>) -> Poll<()>;

    /// As [`poll_receive`](Self::poll_receive), for a [`RawSocket`](crate::RawSocket): with pings and pongs in their order
    /// among the messages (FEATURES G8). A ping is not to be answered; that is done when its turn has come.
    ///
    /// By default it is `poll_receive`, for transports that have no such thing.
    ///
    /// # Errors
    /// As those of `poll_receive`.
    fn poll_receive_raw(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<RawIncoming>,
    ) -> Poll<Result<(), Disconnect>> {
        let mut messages = Vec::new();
        let polled = self.poll_receive(cx, &mut messages);
        incoming.extend(messages.into_iter().map(RawIncoming::Message));
        polled
    }

    /// As [`poll_close`](Self::poll_close), with a reason for people to read, which by default is left out.
    fn poll_close_with(&mut self, cx: &mut Context<'_>, code: CloseCode, reason: &str) -> Poll<()> {
        let _ = reason;
        self.poll_close(cx, Some(code))
    }

    /// A [`RawSocket`](crate::RawSocket) has stopped: what was received is handled, though nothing more is asked for.
    /// For transports that acknowledge; by default nothing.
    fn handled(&mut self) {}
}

/// What arrives for a socket without channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawIncoming {
    /// A whole message.
    Message(Incoming),
    /// A ping or pong.
    Control(Control),
}

/// A control frame of a WebSocket, but for the one that closes it (FEATURES C6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// A ping with its payload.
    Ping(Bytes),
    /// A pong with its payload.
    Pong(Bytes),
}

/// Why a transport can receive no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnect {
    /// What the channels are told, or the socket that has none.
    pub end: End,
    /// The close code to send, if the peer can still be told.
    pub code: Option<CloseCode>,
    /// The code in the peer's own close frame.
    pub peer_code: Option<CloseCode>,
}

impl Disconnect {
    /// The peer is gone without a word.
    pub const GONE: Self = Self { end: End::PeerClosed, code: None, peer_code: None };

    /// The connection is over for a reason that the peer cannot be told.
    pub fn silent(end: End) -> Self {
        Self { end, ..Self::GONE }
    }

    /// The peer said good-bye, and is answered with a code.
    pub fn closed(code: CloseCode) -> Self {
        Self { end: End::LocalClosed, code: Some(code), ..Self::GONE }
    }

    /// The same with the code that the peer has sent, for [`RawContext::close_code`](crate::RawContext::close_code).
    pub fn closed_by(code: CloseCode, peer_code: Option<CloseCode>) -> Self {
        Self { peer_code, ..Self::closed(code) }
    }

    /// The peer broke the rules, and is told by a code.
    pub fn violation(code: CloseCode) -> Self {
        Self { end: End::ProtocolError, code: Some(code), ..Self::GONE }
    }
}

/// The frames that wait to be written, oldest first; the first may be written in part.
#[derive(Debug, Default)]
pub struct Outgoing {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that are written already.
    written: usize,
    bytes: usize,
}

impl Outgoing {
    /// Takes the oldest frame.
    pub fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len() - self.written;
        self.written = 0;
        Some(frame)
    }

    /// The unwritten bytes as WebSocket frames, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.written;
        self.frames.iter().map(move |frame| &frame.wire()[std::mem::take(&mut skip)..])
    }

    /// Takes the oldest chunk as shared bytes.
    pub fn pop_chunk(&mut self) -> Option<Bytes> {
        let written = self.written;
        self.pop().map(|frame| frame.wire().slice(written..))
    }

    /// Drops so many bytes of the chunks, which are written.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn advance(&mut self, mut bytes: usize) {
        self.bytes -= bytes;
        while bytes > 0 {
            let left = self.frames[0].len() - self.written;
            if bytes < left {
                self.written += bytes;
                return;
            }
            bytes -= left;
            self.written = 0;
            self.frames.pop_front();
        }
    }

    /// How many frames are not written completely.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether some bytes of the oldest frame are written, but not all.
    pub fn is_partly_written(&self) -> bool {
        self.written > 0
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    pub(crate) fn load(&self) -> Load {
        Load { frames: self.frames.len(), bytes: self.bytes }
    }

    pub(crate) const fn new() -> Self {
        Self { frames: VecDeque::new(), written: 0, bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
    }

    #[test]
    fn partial_writes_continue_where_they_stopped() {
        let mut outgoing = Outgoing::default();
        outgoing.push(frame("abc"));
        outgoing.push(frame("de"));
        assert_eq!(outgoing.load(), Load { frames: 2, bytes: 9 });
        outgoing.advance(3);
        assert_eq!(
            outgoing.chunks().map(<[u8]>::to_vec).collect::<Vec<_>>(),
            [b"bc".to_vec(), b"\x81\x02de".to_vec()]
        );
        outgoing.advance(4);
        assert_eq!(outgoing.pop_chunk().unwrap(), &b"de"[..]);
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.load(), Load::default());
    }
}
