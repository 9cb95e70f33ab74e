//! The limit server: a current-thread tokio server that does only what the wire needs.
//!
//! It is a yardstick, not a server. It authorises nothing, refuses nothing, validates next to nothing and
//! leaves its outgoing buffers unbounded: the load generator keeps a bounded number of messages in flight.
//! It offers `/bench/websocket` and `/bench/longpoll` (any path, in fact) with topics of any name and the
//! events `echo`, `bcast`, `noreply`, `burst` and `binary`.

mod channel;
mod http;
mod hub;
mod longpoll;
mod socket;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use hub::Hub;
pub(crate) use longpoll::LongPolls;

const BACKLOG: u32 = 4096;

/// Serves on 127.0.0.1 until accepting fails; `ready` gets the address once it is listened on.
///
/// # Errors
///
/// When the port cannot be bound, or a connection cannot be accepted.
pub fn run(port: u16, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = socket.listen(BACKLOG)?;
        ready(listener.local_addr()?);
        // The main task of a runtime is polled apart from its queue: accepting belongs into the queue.
        tokio::spawn(accept(listener)).await.unwrap_or_else(|failure| Err(io::Error::other(failure)))
    })
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let hub = Arc::new(Hub::default());
    tokio::spawn(Hub::flush_forever(Arc::clone(&hub)));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, Arc::clone(&hub)));
    }
}

/// A failed connection is over, and nobody is told.
async fn serve(mut stream: TcpStream, hub: Arc<Hub>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(Some((request, rest))) = http::read_head(&mut stream, Vec::new()).await else { return };
    match request.websocket_answer() {
        Some(answer) => socket::Socket::new(stream, hub, rest, &answer).await,
        // Boxed, or every idle WebSocket would reserve room for it.
        None => _ = Box::pin(longpoll::serve(stream, hub, request, rest)).await,
    }
}
