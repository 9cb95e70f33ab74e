//! Where connections come from: TCP, or anything else that carries bytes both ways.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

/// A server may take this long to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to one server.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection; `ConnectionRefused` when nobody listens.
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>>;
}

/// The two directions of a connection.
pub struct Stream {
    pub(crate) read: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) write: WriteHalf,
}

impl Stream {
    /// A TCP connection, with Nagle's algorithm off.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self { read: Box::new(read), write: WriteHalf::Tcp(write) })
    }

    /// Any other connection; resetting it is the same as closing it.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(io);
        Self { read: Box::new(read), write: WriteHalf::Other(Box::new(write)) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.write {
            WriteHalf::Tcp(half) => Pin::new(half).poll_write(cx, bytes),
            WriteHalf::Other(half) => Pin::new(half).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.write {
            WriteHalf::Tcp(half) => Pin::new(half).poll_flush(cx),
            WriteHalf::Other(half) => Pin::new(half).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.write {
            WriteHalf::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            WriteHalf::Other(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// The direction that is written to.
pub(crate) enum WriteHalf {
    Tcp(OwnedWriteHalf),
    Other(Box<dyn AsyncWrite + Send + Unpin>),
}

impl WriteHalf {
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.write_all(bytes).await,
            Self::Other(half) => {
                half.write_all(bytes).await?;
                half.flush().await
            }
        }
    }

    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.shutdown().await,
            Self::Other(half) => half.shutdown().await,
        }
    }

    /// Makes the kernel send RST, once the other half is dropped as well.
    pub(crate) fn reset(self) {
        if let Self::Tcp(half) = self {
            // Without the option the connection ends with FIN: all that is left to do.
            let _ = half.as_ref().set_zero_linger();
            half.forget();
        }
    }
}

/// Dials a TCP address.
#[derive(Clone, Debug)]
pub struct TcpDial {
    authority: String,
}

impl TcpDial {
    /// `authority` is `host:port`.
    pub fn new(authority: impl Into<String>) -> Self {
        Self { authority: authority.into() }
    }
}

impl Dial for TcpDial {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let authority = self.authority.clone();
        Box::pin(async move { Stream::tcp(timeout(CONNECT_TIMEOUT, TcpStream::connect(authority)).await??) })
    }
}
