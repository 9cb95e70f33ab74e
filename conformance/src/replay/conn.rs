//! The client's side of one connection: sends what it is told, reports what the server sends.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::net::{Dial, Stream, WriteHalf};
use crate::recording::{Conn, Direction, Event, Fin, Request, Response};
use crate::wire::{self, Decoder};

/// A peer that takes no bytes for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A call outside of the recorded connections may take this long.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Commands waiting for a connection: the replay never runs further ahead.
const COMMANDS: usize = 16;

/// Something the server sent.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) conn: Conn,
    pub(super) at: Instant,
    pub(super) event: Event,
}

#[derive(Debug)]
pub(super) enum Command {
    /// Bytes, and the request they are if they are one.
    Write(Vec<u8>, Option<Box<Request>>),
    /// Ends the client's direction and goes on reading.
    Fin,
    /// Ends both directions with RST.
    Reset,
}

/// A connection; dropping it closes both directions.
#[derive(Debug)]
pub(super) struct Connection {
    commands: mpsc::Sender<Command>,
}

impl Connection {
    pub(super) fn start(conn: Conn, stream: Stream, arrivals: mpsc::Sender<Arrival>) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let Stream { read, write } = stream;
        let reader = Reader {
            conn,
            read,
            buffer: BytesMut::new(),
            decoder: Decoder::new(Direction::ServerToClient),
            arrivals,
        };
        tokio::spawn(drive(reader, write, receiver));
        Self { commands }
    }

    /// Hands over a command; a connection that has ended ignores it.
    pub(super) async fn command(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

async fn drive(mut reader: Reader, mut write: WriteHalf, mut commands: mpsc::Receiver<Command>) {
    let mut open = true;
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            more = reader.read(), if open => {
                open = more;
                continue;
            }
        };
        match command {
            None => return,
            Some(Command::Reset) => {
                drop(reader);
                return write.reset();
            }
            // The server may have ended the connection before: what it said until then is what counts.
            Some(Command::Fin) => {
                let _ = write.shutdown().await;
            }
            Some(Command::Write(bytes, request)) => {
                if let Some(request) = request {
                    reader.decoder.note_request(&request);
                }
                let mut writing = std::pin::pin!(timeout(WRITE_TIMEOUT, write.write_all(&bytes)));
                loop {
                    tokio::select! {
                        _ = &mut writing => break,
                        more = reader.read(), if open => open = more,
                    }
                }
            }
        }
    }
}

struct Reader {
    conn: Conn,
    read: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    decoder: Decoder,
    arrivals: mpsc::Sender<Arrival>,
}

impl Reader {
    /// Reads once and reports; `false` at the end.
    async fn read(&mut self) -> bool {
        self.buffer.reserve(64 * 1024);
        let result = self.read.read_buf(&mut self.buffer).await;
        let at = Instant::now();
        let (events, open): (Vec<Event>, bool) = match result {
            Ok(1..) => {
                self.decoder.push(&self.buffer.split());
                (std::iter::from_fn(|| self.decoder.poll()).collect(), true)
            }
            Ok(0) => (self.decoder.finish(), false),
            Err(_) => (vec![Event::Rst], false),
        };
        for event in events {
            // Without a receiver the replay is over.
            let _ = self.arrivals.send(Arrival { conn: self.conn, at, event }).await;
        }
        open
    }
}

/// One request on a connection of its own.
pub(super) async fn call(dial: &dyn Dial, request: Request) -> io::Result<Response> {
    let answer = async {
        let bytes = wire::encode(&Event::Request(request.clone())).ok_or(io::ErrorKind::InvalidInput)?;
        let (arrivals, mut received) = mpsc::channel(4);
        let connection = Connection::start(Conn(0), dial.dial().await?, arrivals);
        connection.command(Command::Write(bytes, Some(Box::new(request)))).await;
        while let Some(arrival) = received.recv().await {
            match arrival.event {
                Event::Response(response) => return Ok(response),
                Event::Fin(Fin { .. }) | Event::Rst | Event::Error(_) => break,
                Event::Request(_) | Event::Frame(_) => {}
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    timeout(CALL_TIMEOUT, answer).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
