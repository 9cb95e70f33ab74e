use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use phoenix_proto::server::CloseCode;
use phoenix_proto::{Incoming, Opcode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::{Control, Disconnect, Outgoing, RawIncoming, Transport};
use crate::websocket::{
    self, Deflater, Event, Input, ProtocolError, Reader, close_answer, close_frame, pong_frame,
};

/// A WebSocket over any stream of bytes, after its upgrade (protocol §8).
///
/// It owns no buffer while nothing is incomplete: bytes are read into one buffer per thread, and frames are
/// written from the shared bytes they are encoded in.
pub struct WebSocket<IO> {
    io: IO,
    reader: Reader,
    /// What the upgrade has read beyond its request.
    read_ahead: Bytes,
    /// Control frames, and with compression everything, that go out before the next shared frame.
    buffer: Vec<u8>,
    deflater: Option<Box<Deflater>>,
    closing: Closing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    /// The close frame is in the buffer.
    Flush,
    Shutdown,
    /// What the peer is still sending is read and dropped, so that it gets to read the close frame.
    Linger,
}

/// How much is read at once.
const READ_SIZE: usize = 64 * 1024;

/// How many frames go into one system call.
const MAX_SLICES: usize = 64;

/// Frames of less than so many bytes together are copied into one piece: less work than to tell the system where
/// each of them is.
const GATHERED: usize = 16 * 1024;

/// How much is compressed ahead of the socket.
const MAX_COMPRESSED: usize = 64 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
    static WRITE_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO> {
    pub(crate) fn new(io: IO, read_ahead: &[u8], reader: Reader, deflater: Option<Deflater>) -> Self {
        Self {
            io,
            reader,
            // Even when it is empty it may pin the buffer that it was cut from.
            read_ahead: Bytes::copy_from_slice(read_ahead),
            buffer: Vec::new(),
            deflater: deflater.map(Box::new),
            closing: Closing::Open,
        }
    }

    /// The stream, for a framework that moves its bytes.
    pub fn io_mut(&mut self) -> &mut IO {
        &mut self.io
    }

    fn parse(&mut self, bytes: &mut [u8], incoming: &mut impl Sink) -> Result<(), Disconnect> {
        let mut input = Input::new(bytes);
        loop {
            match self.reader.next_event(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(Event::Text(text))) => incoming.message(Incoming::Text(text.into())),
                Ok(Some(Event::Binary(data))) => incoming.message(Incoming::Binary(data)),
                Ok(Some(Event::Ping(payload))) => {
                    if let Some(payload) = incoming.ping(payload) {
                        self.buffer.extend_from_slice(&pong_frame(&payload));
                    }
                }
                Ok(Some(Event::Pong(payload))) => incoming.pong(payload),
                Ok(Some(Event::Close(code))) => {
                    return Err(Disconnect::closed_by(close_answer(code), code));
                }
                Err(error) => {
                    tracing::info!(%error, "WebSocket protocol error");
                    return Err(violation(error));
                }
            }
        }
    }

    #[inline]
    fn receive(&mut self, cx: &mut Context<'_>, incoming: &mut impl Sink) -> Poll<Result<(), Disconnect>> {
        if !self.read_ahead.is_empty() {
            let mut bytes = std::mem::take(&mut self.read_ahead).to_vec();
            return Poll::Ready(self.parse(&mut bytes, incoming));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut read)) {
                Ok(()) if read.filled().is_empty() => Poll::Ready(Err(Disconnect::GONE)),
                Ok(()) => Poll::Ready(self.parse(read.filled_mut(), incoming)),
                Err(error) => {
                    tracing::debug!(%error, "read failed");
                    Poll::Ready(Err(Disconnect::GONE))
                }
            }
        })
    }

    /// Writes the buffer; ready when it is empty.
    fn poll_buffer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.buffer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.buffer.drain(..written);
        }
        self.buffer = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        let io = Pin::new(&mut self.io);
        let written = if outgoing.len() == 1 {
            let mut chunks = outgoing.chunks();
            ready!(io.poll_write(cx, chunks.next().unwrap_or_default()))?
        } else if outgoing.load().bytes < GATHERED {
            let written = WRITE_BUFFER.with_borrow_mut(|buffer| {
                buffer.clear();
                outgoing.chunks().for_each(|chunk| buffer.extend_from_slice(chunk));
                io.poll_write(cx, buffer)
            });
            ready!(written)?
        } else {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut filled = 0;
            for (slice, chunk) in slices.iter_mut().zip(outgoing.chunks()) {
                *slice = IoSlice::new(chunk);
                filled += 1;
            }
            ready!(io.poll_write_vectored(cx, &slices[..filled]))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        outgoing.advance(written);
        Poll::Ready(Ok(()))
    }

    fn compress(&mut self, outgoing: &mut Outgoing) {
        let Some(deflater) = &mut self.deflater else { return };
        while self.buffer.len() < MAX_COMPRESSED
            && let Some(frame) = outgoing.pop()
        {
            let opcode = match frame.opcode() {
                Opcode::Text => websocket::Opcode::Text,
                Opcode::Binary => websocket::Opcode::Binary,
                Opcode::Ping | Opcode::Pong => {
                    self.buffer.extend_from_slice(frame.wire());
                    continue;
                }
            };
            self.buffer.extend_from_slice(&deflater.frame(opcode, &frame.payload()));
        }
    }
}

/// Where what is read goes.
trait Sink {
    fn message(&mut self, message: Incoming);

    /// Gives back the payload of a ping that is to be answered at once.
    fn ping(&mut self, payload: Bytes) -> Option<Bytes>;

    fn pong(&mut self, payload: Bytes);
}

/// Channels know nothing of pings and pongs.
impl Sink for Vec<Incoming> {
    fn message(&mut self, message: Incoming) {
        self.push(message);
    }

    fn ping(&mut self, payload: Bytes) -> Option<Bytes> {
        Some(payload)
    }

    fn pong(&mut self, _: Bytes) {}
}

impl Sink for Vec<RawIncoming> {
    fn message(&mut self, message: Incoming) {
        self.push(RawIncoming::Message(message));
    }

    fn ping(&mut self, payload: Bytes) -> Option<Bytes> {
        self.push(RawIncoming::Control(Control::Ping(payload)));
        None
    }

    fn pong(&mut self, payload: Bytes) {
        self.push(RawIncoming::Control(Control::Pong(payload)));
    }
}

fn violation(error: ProtocolError) -> Disconnect {
    Disconnect::violation(error.close_code())
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Transport for WebSocket<IO> {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>> {
        self.receive(cx, incoming)
    }

    fn poll_receive_raw(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<RawIncoming>,
    ) -> Poll<Result<(), Disconnect>> {
        self.receive(cx, incoming)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() && outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        loop {
            // Nothing may get in between the two parts of a frame.
            if !outgoing.is_partly_written() {
                self.compress(outgoing);
                ready!(self.poll_buffer(cx))?;
            }
            if outgoing.is_empty() {
                return Pin::new(&mut self.io).poll_flush(cx);
            }
            if self.deflater.is_none() {
                ready!(self.poll_frames(cx, outgoing))?;
            }
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, code: Option<CloseCode>) -> Poll<()> {
        match code {
            Some(code) => self.poll_close_with(cx, code, ""),
            None => Poll::Ready(()),
        }
    }

    fn poll_close_with(&mut self, cx: &mut Context<'_>, code: CloseCode, reason: &str) -> Poll<()> {
        loop {
            match self.closing {
                Closing::Open => {
                    self.buffer.extend_from_slice(&close_frame(code, reason));
                    self.closing = Closing::Flush;
                }
                Closing::Flush => {
                    if ready!(self.poll_buffer(cx)).is_err() {
                        return Poll::Ready(());
                    }
                    self.closing = Closing::Shutdown;
                }
                Closing::Shutdown => {
                    if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err() {
                        return Poll::Ready(());
                    }
                    self.closing = Closing::Linger;
                }
                Closing::Linger => {
                    let lingers = code == CloseCode::TOO_BIG;
                    let read = READ_BUFFER.with_borrow_mut(|buffer| {
                        let mut read = ReadBuf::new(buffer);
                        let polled = Pin::new(&mut self.io).poll_read(cx, &mut read);
                        polled.map(|result| result.is_ok() && !read.filled().is_empty())
                    });
                    match read {
                        Poll::Ready(true) => {}
                        Poll::Pending if lingers => return Poll::Pending,
                        Poll::Ready(false) | Poll::Pending => return Poll::Ready(()),
                    }
                }
            }
        }
    }
}
