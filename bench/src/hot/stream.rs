//! A socket in memory.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both ends share it: the test feeds bytes and counts those written.
#[derive(Clone, Default)]
pub(super) struct Stream(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    input: Vec<u8>,
    reader: Option<Waker>,
    written: usize,
    closed: bool,
}

impl Stream {
    pub(super) fn feed(&self, bytes: &[u8]) {
        let mut ends = self.0.lock();
        ends.input.extend_from_slice(bytes);
        if let Some(reader) = ends.reader.take() {
            reader.wake();
        }
    }

    /// Bytes written since it was asked last.
    pub(super) fn take_written(&self) -> usize {
        std::mem::take(&mut self.0.lock().written)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ends = self.0.lock();
        if ends.input.is_empty() {
            ends.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buffer.put_slice(&ends.input);
        ends.input.clear();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().written += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = slices.iter().map(|slice| slice.len()).sum();
        self.0.lock().written += written;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().closed = true;
        Poll::Ready(Ok(()))
    }
}
