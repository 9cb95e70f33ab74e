//! Sockets without channels: what Phoenix calls implementing `Phoenix.Socket.Transport` (FEATURES C).

mod context;
mod flow;
mod runner;

use std::future::Future;

use phoenix_proto::Incoming;

pub use context::{RawContext, RawHandle};
pub use flow::{Close, RawFlow};
pub(crate) use runner::{Callback, Fresh, Outcome, RawHandler, Runner, Work, handler};

use crate::transport::Control;
use crate::{ConnectInfo, Crash, End, Refused};

/// A socket without channels: frames in, frames out, in a format of its own (FEATURES C21).
///
/// It is mounted like any socket by [`EndpointBuilder::raw_socket`](crate::EndpointBuilder::raw_socket), with the same
/// [options](crate::SocketOptions), over WebSocket, long polling and transports of your own. Parameters, origins,
/// subprotocols, limits, timeouts, drain and shutdown are those of every connection; of the protocol of channels there is
/// nothing, `vsn` included.
///
/// ```
/// use phoenix_server::{ConnectInfo, Crash, Endpoint, Incoming, RawContext, RawFlow, RawSocket, Refused, SocketOptions};
///
/// /// Sends back what it gets.
/// struct EchoSocket;
///
/// impl RawSocket for EchoSocket {
///     type Info = ();
///
///     async fn connect(_info: ConnectInfo) -> Result<Self, Refused> {
///         Ok(Self)
///     }
///
///     async fn handle_in(&mut self, message: Incoming, _cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
///         Ok(RawFlow::reply(message))
///     }
/// }
///
/// let endpoint = Endpoint::builder().raw_socket::<EchoSocket>("/echo", SocketOptions::new()).build()?;
/// assert!(endpoint.serves("/echo/websocket"));
/// # Ok::<(), phoenix_server::EndpointError>(())
/// ```
///
/// `self` is the state of the connection. Its callbacks run one after the other, in the order in which things arrived. While a
/// callback waits, nothing else is read from this client (that is its backpressure), and no other connection is affected.
///
/// An `Err` or a panic closes this connection with 1011, and nothing else, after [`terminate`](Self::terminate).
///
/// # Long polling
///
/// A POST is acknowledged with 200 when its messages are handled, whatever the results are, a stop included. Only text reaches
/// the client: binary frames, pings and pongs are dropped, and the log warns of the first. Close codes do not exist.
pub trait RawSocket: Send + Sized + 'static {
    /// What [`handle_info`](Self::handle_info) receives; `()` if nothing.
    type Info: Send + 'static;

    /// Accepts or refuses a connection, before the WebSocket upgrade is answered (FEATURES C3).
    ///
    /// # Errors
    /// [`Refused`] carries the HTTP answer: 403 without a body by default. A panic is answered with 500.
    fn connect(info: ConnectInfo) -> impl Future<Output = Result<Self, Refused>> + Send;

    /// The name by which [`Endpoint::disconnect`](crate::Endpoint::disconnect) closes this connection, as
    /// [`Socket::id`](crate::Socket::id); none by default.
    fn id(&self) -> Option<String> {
        None
    }

    /// The connection begins: the first callback in the task that will run it (FEATURES C4).
    fn init(&mut self, cx: &mut RawContext<Self>) -> impl Future<Output = Result<RawFlow, Crash>> + Send {
        let _ = cx;
        async { Ok(RawFlow::CONTINUE) }
    }

    /// A whole message from the client, text or binary (FEATURES C5).
    fn handle_in(
        &mut self,
        message: Incoming,
        cx: &mut RawContext<Self>,
    ) -> impl Future<Output = Result<RawFlow, Crash>> + Send;

    /// A ping or pong from the client, its payload empty if it had none (FEATURES C6, G8); ignored by default. A ping
    /// is answered already.
    fn handle_control(
        &mut self,
        control: Control,
        cx: &mut RawContext<Self>,
    ) -> impl Future<Output = Result<RawFlow, Crash>> + Send {
        let _ = (control, cx);
        async { Ok(RawFlow::CONTINUE) }
    }

    /// A message from elsewhere in the program (FEATURES C7), from a [`RawHandle`] or a subscription; ignored by default.
    fn handle_info(
        &mut self,
        info: Self::Info,
        cx: &mut RawContext<Self>,
    ) -> impl Future<Output = Result<RawFlow, Crash>> + Send {
        let _ = (info, cx);
        async { Ok(RawFlow::CONTINUE) }
    }

    /// The last callback, also after a crash (FEATURES C8), and before the client is told that the connection ends, unless it
    /// waits. Nothing it sends arrives. It has the time of [`SocketOptions::terminate_timeout`](crate::SocketOptions), five
    /// seconds by default, which a callback that is still running shares.
    ///
    /// The client's close frame is [`End::LocalClosed`] (`:remote` in Phoenix), with its code in
    /// [`RawContext::close_code`]; a stop is [`End::Stopped`] (`:normal`), a crash [`End::Crashed`], a broken
    /// connection [`End::PeerClosed`], silence [`End::IdleTimeout`] (`:timeout`).
    fn terminate(&mut self, end: End, cx: &mut RawContext<Self>) -> impl Future<Output = ()> + Send {
        let _ = (end, cx);
        async {}
    }
}
