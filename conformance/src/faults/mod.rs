//! A proxy that breaks one rule of the protocol, to prove that a replay notices.

mod apply;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};

use crate::net::{Dial, Stream};
use crate::recording::Event;
use crate::wire::{self, Tap};

/// Bytes in flight between the proxy and the replay.
const BUFFER: usize = 64 * 1024;

/// A rule that is broken whenever there is an opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `phx_close` is not sent.
    DropPhxClose,
    /// Two frames of one topic that leave together change places.
    SwapFrames,
    /// A reply has the join reference of another join.
    WrongJoinRef,
    /// A frame without a reference has an empty one.
    EmptyRef,
    /// A broadcast nobody made follows a reply.
    ExtraFrame,
    /// A frame is sent twice.
    DuplicateFrame,
    /// `ok` becomes `error`.
    WrongReplyStatus,
    /// The text of an error is another one.
    WrongReason,
    /// A number of a payload is off by one.
    WrongNumber,
    /// Heartbeats are not answered.
    DropHeartbeatReply,
    /// Binary messages come in text frames.
    TextForBinary,
    /// Frames are masked, which only clients may do.
    Masked,
    /// A pong has another payload than its ping.
    WrongPong,
    /// A close frame has another code.
    WrongCloseCode,
    /// The connection ends without a close frame.
    DropCloseFrame,
    /// The connection is not ended.
    DropFin,
    /// A refusal has another status.
    WrongHttpStatus,
    /// `cache-control` is not sent.
    MissingHeader,
    /// `sec-websocket-accept` does not fit the key.
    WrongAccept,
    /// A poll without messages has the status of one with messages.
    WrongPollStatus,
    /// The token of a session changes with every poll.
    ChangedToken,
    /// The last message of a poll is lost.
    DropPollMessage,
    /// The messages of a poll come in reverse.
    ReversePollMessages,
    /// All `phx_ref`s are the same.
    SamePhxRef,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 24] = [
        Self::DropPhxClose,
        Self::SwapFrames,
        Self::WrongJoinRef,
        Self::EmptyRef,
        Self::ExtraFrame,
        Self::DuplicateFrame,
        Self::WrongReplyStatus,
        Self::WrongReason,
        Self::WrongNumber,
        Self::DropHeartbeatReply,
        Self::TextForBinary,
        Self::Masked,
        Self::WrongPong,
        Self::WrongCloseCode,
        Self::DropCloseFrame,
        Self::DropFin,
        Self::WrongHttpStatus,
        Self::MissingHeader,
        Self::WrongAccept,
        Self::WrongPollStatus,
        Self::ChangedToken,
        Self::DropPollMessage,
        Self::ReversePollMessages,
        Self::SamePhxRef,
    ];
}

/// Connects to a server through a proxy with a fault.
pub struct FaultyDial {
    server: Arc<dyn Dial>,
    fault: Fault,
    applied: Arc<AtomicUsize>,
}

impl FaultyDial {
    /// Breaks this rule for every connection to `server`.
    pub fn new(server: Arc<dyn Dial>, fault: Fault) -> Self {
        Self { server, fault, applied: Arc::default() }
    }

    /// Counts how often the rule was broken; the counter lives on when the proxy is gone.
    pub fn applied(&self) -> Arc<AtomicUsize> {
        self.applied.clone()
    }
}

impl Dial for FaultyDial {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let (dialing, fault, applied) = (self.server.dial(), self.fault, self.applied.clone());
        Box::pin(async move {
            let server = dialing.await?;
            let (ours, theirs) = duplex(BUFFER);
            tokio::spawn(async move {
                // Either side may go at any time: the other one sees that for itself.
                let _ = forward(theirs, server, fault, &applied).await;
            });
            Ok(Stream::new(ours))
        })
    }
}

impl std::fmt::Debug for FaultyDial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyDial").field("fault", &self.fault).finish_non_exhaustive()
    }
}

async fn forward(
    client: DuplexStream,
    server: Stream,
    fault: Fault,
    applied: &AtomicUsize,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = split(client);
    let Stream { read: mut from_server, write: mut to_server } = server;
    let mut tap = Tap::new();
    let (mut client_bytes, mut server_bytes) = (vec![0; BUFFER], vec![0; BUFFER]);
    let (mut client_open, mut server_open) = (true, true);
    while client_open || server_open {
        tokio::select! {
            length = from_client.read(&mut client_bytes), if client_open => {
                let bytes = &client_bytes[..length?];
                tap.client(bytes);
                client_open = !bytes.is_empty();
                if client_open {
                    to_server.write_all(bytes).await?;
                } else {
                    to_server.shutdown().await?;
                }
            }
            length = from_server.read(&mut server_bytes), if server_open => {
                let bytes = &server_bytes[..length?];
                let events = tap.server(bytes);
                server_open = !bytes.is_empty();
                let (events, broken) = apply::apply(fault, events);
                applied.fetch_add(broken, Ordering::SeqCst);
                for event in events {
                    match &event {
                        Event::Fin(_) if fault == Fault::DropFin && client_open => {
                            applied.fetch_add(1, Ordering::SeqCst);
                            return std::future::pending().await;
                        }
                        Event::Fin(_) => to_client.shutdown().await?,
                        event => to_client.write_all(&wire::encode(event).unwrap_or_default()).await?,
                    }
                }
            }
        }
    }
    Ok(())
}
