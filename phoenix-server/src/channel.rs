use std::fmt;
use std::future::Future;

use phoenix_proto::{Broadcast, Payload, Status};
use tracing::level_filters::LevelFilter;

use crate::{Context, Crash, Socket};

/// One joined topic of one client, as an object with callbacks (FEATURES B).
///
/// `self` is the state of the channel. Callbacks of one channel run one after the other, those of different
/// channels side by side; a callback that waits delays its own channel only. An `Err` or a panic in a
/// callback ends this channel with `phx_error`, after which the client rejoins, and nothing else is affected.
///
/// ```
/// use phoenix_server::{Channel, Context, Crash, Flow, JoinError, Payload, Socket, Status};
/// # use phoenix_server::{ConnectInfo, Refused, Router};
/// # struct UserSocket;
/// # impl Socket for UserSocket {
/// #     async fn connect(_: ConnectInfo) -> Result<Self, Refused> { Ok(Self) }
/// #     fn channels(router: &mut Router<Self>) { router.channel::<Room>("room:*"); }
/// # }
///
/// struct Room;
///
/// impl Channel for Room {
///     type Socket = UserSocket;
///     type Info = ();
///
///     async fn join(_params: Payload, _cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
///         Ok((Self, Payload::EMPTY))
///     }
///
///     async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
///         match event {
///             "new_msg" => {
///                 cx.broadcast("new_msg", payload)?;
///                 Ok(Flow::reply(Status::OK))
///             }
///             _ => Err(Crash::unhandled(event)),
///         }
///     }
/// }
/// ```
pub trait Channel: Send + Sized + 'static {
    /// The socket whose topics it serves.
    type Socket: Socket;

    /// What [`handle_info`](Self::handle_info) receives; `()` if nothing.
    type Info: Send + 'static;

    /// Events of broadcasts on its topic that go through [`handle_out`](Self::handle_out) instead of straight
    /// to the client (FEATURES B27).
    const INTERCEPTS: &'static [&'static str] = &[];

    /// Whether [`terminate`](Self::terminate) also runs when a newer join of the same topic replaces this
    /// channel, which then waits for it up to five seconds (protocol §9.4).
    const TRAP_EXIT: bool = false;

    /// The level at which joins are logged (FEATURES B29), `OFF` for not at all. Parameters are shown at TRACE only, as
    /// the [filter](crate::EndpointBuilder::filter_parameters) lets them.
    const LOG_JOIN: LevelFilter = LevelFilter::INFO;

    /// The level at which handled messages are logged (FEATURES B30), `OFF` for not at all.
    const LOG_HANDLE_IN: LevelFilter = LevelFilter::DEBUG;

    /// Decides whether the client may join, and with what reply (FEATURES B1–B5).
    ///
    /// Nothing can be pushed or broadcast to the topic from here; have [`Context::handle`] send an info to
    /// itself for what has to follow the join.
    ///
    /// # Errors
    /// [`JoinError::refuse`] refuses with a reason for the client; any other error counts as a crash and the
    /// client is told `join crashed`.
    fn join(
        params: Payload,
        cx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(Self, Payload), JoinError>> + Send;

    /// A message from the client (FEATURES B6).
    fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Flow, Crash>> + Send;

    /// An intercepted broadcast on its topic (FEATURES B7); by default it is pushed as it is.
    fn handle_out(
        &mut self,
        broadcast: &Broadcast,
        cx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Flow, Crash>> + Send {
        async {
            cx.push(&broadcast.event, broadcast.payload.clone())?;
            Ok(Flow::Continue)
        }
    }

    /// A message from elsewhere in the program (FEATURES B8); ignored by default.
    fn handle_info(
        &mut self,
        info: Self::Info,
        cx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Flow, Crash>> + Send {
        let _ = (info, cx);
        async { Ok(Flow::Continue) }
    }

    /// The last callback, also after a crash (FEATURES B11). When the connection is gone it has the time of
    /// [`SocketOptions::terminate_timeout`](crate::SocketOptions), five seconds by default.
    fn terminate(&mut self, end: End, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        let _ = (end, cx);
        async {}
    }
}

/// What a callback wants to happen next (FEATURES B13–B18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// Go on, without a reply.
    Continue,
    /// Reply to the message that is being handled. In other callbacks than `handle_in` there is none, so
    /// that nothing is sent.
    Reply(Status, Payload),
    /// End in order: `phx_close`.
    Stop,
    /// Reply, then end in order.
    StopWith(Status, Payload),
}

impl Flow {
    /// A reply with the payload `{}`.
    pub fn reply(status: Status) -> Self {
        Self::Reply(status, Payload::EMPTY)
    }

    /// A reply with status `ok`.
    pub fn ok(payload: impl Into<Payload>) -> Self {
        Self::Reply(Status::OK, payload.into())
    }

    /// A reply with status `error`.
    pub fn error(payload: impl Into<Payload>) -> Self {
        Self::Reply(Status::ERROR, payload.into())
    }
}

/// Why a join did not succeed.
#[derive(Debug)]
pub enum JoinError {
    /// The application refused, with a reason for the client.
    Refused(Payload),
    /// The callback failed; the client is told `join crashed`, the log more.
    Crashed(Crash),
}

impl JoinError {
    /// Refuses with a payload for the client, by convention `{"reason": …}`.
    pub fn refuse(payload: impl Into<Payload>) -> Self {
        Self::Refused(payload.into())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for JoinError {
    fn from(error: E) -> Self {
        Self::Crashed(error.into())
    }
}

/// Why a channel ends, as [`Channel::terminate`] is told, or a connection without channels, as
/// [`RawSocket::terminate`](crate::RawSocket::terminate) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The client left.
    Left,
    /// A callback returned [`Flow::Stop`] or [`Flow::StopWith`], or a [`RawFlow`](crate::RawFlow) that closes.
    Stopped,
    /// A callback returned an error or panicked.
    Crashed,
    /// A newer join of the same topic took its place; only with [`Channel::TRAP_EXIT`].
    Replaced,
    /// The client closed the connection.
    LocalClosed,
    /// The connection broke.
    PeerClosed,
    /// The connection was idle for too long.
    IdleTimeout,
    /// The application disconnected the socket.
    Disconnected,
    /// The server drains.
    Draining,
    /// The client violated the protocol or sent what is no message.
    ProtocolError,
    /// The client took its messages too slowly.
    TooSlow,
    /// A long-poll session was not polled for too long.
    Inactive,
    /// The server itself failed.
    Internal,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Stopped => "normal",
            Self::Crashed => "crashed",
            Self::Replaced => "duplicate_join",
            Self::LocalClosed => "local_closed",
            Self::PeerClosed => "peer_closed",
            Self::IdleTimeout => "read_timeout",
            Self::Disconnected => "disconnected",
            Self::Draining => "draining",
            Self::ProtocolError => "protocol_error",
            Self::TooSlow => "too_slow",
            Self::Inactive => "inactive",
            Self::Internal => "internal",
        })
    }
}
