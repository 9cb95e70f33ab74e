//! One WebSocket connection, without a read buffer of its own.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::channel::{Draft, Member};
use super::hub::{Hub, Link, Peer};
use crate::wire::frame;

const READ_AT_ONCE: usize = 64 * 1024;

/// The task of one connection: ends when the client closes.
pub(super) struct Socket {
    reader: OwnedReadHalf,
    hub: Arc<Hub>,
    member: Member,
    /// The start of a frame whose end has not come yet.
    rest: Vec<u8>,
}

struct Scratch {
    read: Vec<u8>,
    draft: Draft,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { read: Vec::new(), draft: Draft::new() }) };
}

impl Socket {
    /// `answer` is the answer to the upgrade, `rest` what was read beyond the request.
    pub(super) fn new(stream: TcpStream, hub: Arc<Hub>, rest: Vec<u8>, answer: &[u8]) -> Self {
        let (reader, writer) = stream.into_split();
        let peer = Peer::new(Link::Socket(writer));
        hub.send(&peer, answer);
        Self { reader, member: Member::new(Arc::clone(&hub), peer), hub, rest }
    }

    /// Reads once and handles every complete frame; `true` when the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<bool> {
        let kept = self.rest.len();
        if scratch.read.len() < kept + READ_AT_ONCE {
            scratch.read.resize(kept + READ_AT_ONCE, 0);
        }
        let mut buffer = ReadBuf::new(&mut scratch.read[kept..]);
        let outcome = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer));
        let received = buffer.filled().len();
        if outcome.is_err() || received == 0 {
            return Poll::Ready(true);
        }
        scratch.read[..kept].copy_from_slice(&self.rest);
        let mut unread = &mut scratch.read[..kept + received];
        while let Some(found) = frame::next(unread) {
            let (whole, others) = unread.split_at_mut(found.body.end);
            unread = others;
            let body = &mut whole[found.body];
            if let Some(key) = found.key {
                frame::mask(body, key);
            }
            match found.opcode {
                frame::TEXT => self.member.text(body, &mut scratch.draft),
                frame::BINARY => self.member.binary(body, &mut scratch.draft),
                frame::PING => self.hub.send(&self.member.peer, scratch.draft.frame(frame::PONG, &[body])),
                frame::CLOSE => {
                    self.hub.send(&self.member.peer, scratch.draft.frame(frame::CLOSE, &[body]));
                    // Before the task ends and the stream with it.
                    self.member.peer.flush();
                    return Poll::Ready(true);
                }
                _ => {}
            }
        }
        // An idle connection holds no buffer, so an empty rest gives its memory back.
        self.rest = unread.to_vec();
        Poll::Ready(false)
    }
}

impl Future for Socket {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            while !ready!(self.turn(cx, scratch)) {}
            Poll::Ready(())
        })
    }
}
