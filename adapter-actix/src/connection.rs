//! The upgraded connection: the payload of the request is read, the body of the answer is written.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Payload;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use phoenix_server::{Driver, Upgrade, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The body of the answer, which is the connection: asking it for bytes drives it.
pub(crate) struct Body {
    driver: Driver<WebSocket<Duplex>>,
    ended: bool,
}

/// How much is handed to actix-web before it has to ask for more.
const MAX_BUFFERED: usize = 64 * 1024;

thread_local! {
    /// What is written goes into one buffer of each thread and is handed on at once. actix-web copies it and lets go
    /// of it, so that its memory is used again.
    static BUFFER: Cell<BytesMut> = Cell::new(BytesMut::new());
}

impl Body {
    pub(crate) fn new(upgrade: Upgrade, payload: Payload) -> Self {
        let stream = Duplex { payload, chunk: Bytes::new(), written: BytesMut::new() };
        Self { driver: upgrade.run(stream, &[]), ended: false }
    }
}

impl MessageBody for Body {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.driver.transport_mut().io_mut().written = BUFFER.take();
        self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        let mut buffer = std::mem::take(&mut self.driver.transport_mut().io_mut().written);
        let chunk = (!buffer.is_empty()).then(|| buffer.split().freeze());
        BUFFER.set(buffer);
        match chunk {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None if self.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Both directions of the connection as one stream.
pub(crate) struct Duplex {
    payload: Payload,
    /// What was received but not read yet.
    chunk: Bytes,
    /// What was written in this turn of the driver.
    written: BytesMut,
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            // No waker is needed: whenever actix-web has read something it asks the body for bytes, in the same turn.
            // With a waker it would take another turn, in which there is nothing to do.
            let mut cx = Context::from_waker(Waker::noop());
            match ready!(Pin::new(&mut self.payload).poll_next(&mut cx)) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let read = self.chunk.len().min(buf.remaining());
        buf.put_slice(&self.chunk[..read]);
        self.chunk.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        // Without a waker: the body is asked again after what is buffered was taken.
        if self.written.len() >= MAX_BUFFERED {
            return Poll::Pending;
        }
        self.written.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.written.len() >= MAX_BUFFERED {
            return Poll::Pending;
        }
        let len = slices.iter().map(|slice| slice.len()).sum();
        self.written.reserve(len);
        for slice in slices {
            self.written.extend_from_slice(slice);
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
