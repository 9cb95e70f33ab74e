//! Non-blocking client connections on one epoll: one shared read buffer, messages handled in place.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::incoming::{self, Step};
use crate::wire::frame;

const READ_AT_ONCE: usize = 1 << 20;
const EVENTS_AT_ONCE: usize = 1024;
/// How long a turn may sleep when the load is not to be busy.
const NAP: Duration = Duration::from_millis(5);

/// One connection: its place in the table, used again after the connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnId(pub(crate) usize);

/// What a mode does when something arrives.
pub(crate) trait Script {
    /// The WebSocket is open.
    fn opened(&mut self, _net: &mut Net, _conn: ConnId) {}

    /// A text message, or the body of an HTTP response, has come; `now` is when it was read.
    fn received(&mut self, net: &mut Net, conn: ConnId, message: &[u8], now: Instant);

    /// The connection has ended, or never came about.
    fn closed(&mut self, conn: ConnId);

    /// Runs once per turn, after everything that has arrived.
    fn tick(&mut self, _net: &mut Net, _now: Instant) {}
}

/// How bytes received become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    WebSocket,
    /// Requests are sent by the script; the response bodies are the messages.
    Http,
}

/// The connections of one run.
pub(crate) struct Net {
    poll: Poll,
    protocol: Protocol,
    address: SocketAddr,
    /// The upgrade request; empty for HTTP.
    greeting: Vec<u8>,
    conns: Vec<Conn>,
    dirty: Vec<ConnId>,
    buffer: Vec<u8>,
    mask: u64,
    /// Breaches of WebSocket or HTTP.
    pub(crate) breaches: u64,
}

/// Turns the epoll events of a [`Net`] into calls of a script.
pub(crate) struct Driver {
    pub(crate) net: Net,
    events: Events,
    busy: bool,
}

struct Conn {
    stream: Option<TcpStream>,
    phase: Phase,
    /// Tells events of an earlier connection in the same place apart.
    generation: u32,
    /// The start of a message whose end has not come yet.
    rest: Vec<u8>,
    out: Vec<u8>,
    written: usize,
    is_dirty: bool,
    started: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Open,
}

impl Driver {
    pub(crate) fn new(net: Net, busy: bool) -> Self {
        Self { net, events: Events::with_capacity(EVENTS_AT_ONCE), busy }
    }

    /// Handles what is ready, or waits for it shortly; gives the time at the end.
    pub(crate) fn turn(&mut self, script: &mut impl Script) -> io::Result<Instant> {
        let timeout = if self.busy { Duration::ZERO } else { NAP };
        match self.net.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            self.net.handle(event, script);
        }
        let now = Instant::now();
        script.tick(&mut self.net, now);
        while let Some(conn) = self.net.dirty.pop() {
            self.net.flush(conn);
        }
        Ok(now)
    }

    /// Turns until `over` says so.
    pub(crate) fn turn_until<S: Script>(
        &mut self,
        script: &mut S,
        mut over: impl FnMut(&mut S, Instant) -> bool,
    ) -> io::Result<()> {
        loop {
            let now = self.turn(script)?;
            if over(script, now) {
                return Ok(());
            }
        }
    }
}

impl Net {
    pub(crate) fn new(protocol: Protocol, address: SocketAddr, path: &str) -> io::Result<Self> {
        let greeting = match protocol {
            Protocol::WebSocket => incoming::upgrade_request(address, path),
            Protocol::Http => Vec::new(),
        };
        Ok(Self {
            poll: Poll::new()?,
            protocol,
            address,
            greeting,
            conns: Vec::new(),
            dirty: Vec::new(),
            buffer: vec![0; READ_AT_ONCE],
            mask: 0x9E37_79B9_7F4A_7C15,
            breaches: 0,
        })
    }

    /// Starts a connection in this place, which must be free.
    pub(crate) fn connect(&mut self, conn: ConnId) -> io::Result<()> {
        let now = Instant::now();
        self.conns.resize_with(self.conns.len().max(conn.0 + 1), || Conn::new(now));
        let mut stream = TcpStream::connect(self.address)?;
        let slot = &mut self.conns[conn.0];
        slot.generation = slot.generation.wrapping_add(1);
        let token = Token((slot.generation as usize) << 32 | conn.0);
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        stream.set_nodelay(true)?;
        slot.stream = Some(stream);
        slot.phase = if self.protocol == Protocol::Http { Phase::Open } else { Phase::Handshake };
        slot.started = now;
        // Leaves with the first event, which says that the connection can be written to.
        slot.out.extend_from_slice(&self.greeting);
        Ok(())
    }

    /// When the connection was started.
    pub(crate) fn started(&self, conn: ConnId) -> Instant {
        self.conns[conn.0].started
    }

    /// Ends the connection without a word.
    pub(crate) fn cut(&mut self, conn: ConnId) {
        let slot = &mut self.conns[conn.0];
        slot.stream = None;
        slot.rest.clear();
        slot.out.clear();
        slot.written = 0;
    }

    /// Queues a text message; it leaves at the end of the turn at the latest.
    pub(crate) fn send_text(&mut self, conn: ConnId, text: &[u8]) {
        self.send_frame(conn, frame::TEXT, text);
    }

    /// Queues a close frame; the server answers it and ends the connection.
    pub(crate) fn send_close(&mut self, conn: ConnId) {
        self.send_frame(conn, frame::CLOSE, &1000_u16.to_be_bytes());
    }

    /// Queues raw bytes: a whole HTTP request.
    pub(crate) fn send_raw(&mut self, conn: ConnId, bytes: &[u8]) {
        self.conns[conn.0].out.extend_from_slice(bytes);
        self.mark(conn);
    }

    fn send_frame(&mut self, conn: ConnId, opcode: u8, body: &[u8]) {
        let key = self.next_key();
        let out = &mut self.conns[conn.0].out;
        frame::head(out, opcode, body.len(), true);
        out.extend_from_slice(&key);
        let start = out.len();
        out.extend_from_slice(body);
        frame::mask(&mut out[start..], key);
        self.mark(conn);
    }

    fn next_key(&mut self) -> [u8; 4] {
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 7;
        self.mask ^= self.mask << 17;
        let [a, b, c, d, ..] = self.mask.to_ne_bytes();
        [a, b, c, d]
    }

    fn mark(&mut self, conn: ConnId) {
        if !std::mem::replace(&mut self.conns[conn.0].is_dirty, true) {
            self.dirty.push(conn);
        }
    }

    fn flush(&mut self, conn: ConnId) {
        let slot = &mut self.conns[conn.0];
        slot.is_dirty = false;
        let Some(stream) = &mut slot.stream else { return };
        while slot.written < slot.out.len() {
            match stream.write(&slot.out[slot.written..]) {
                Ok(written) => slot.written += written,
                // Not writable now, which an event will end; or broken, which reading will find out.
                Err(_) => return,
            }
        }
        slot.out.clear();
        slot.written = 0;
    }

    fn handle(&mut self, event: &Event, script: &mut impl Script) {
        let token = event.token().0;
        let conn = ConnId(token & 0xffff_ffff);
        let slot = &self.conns[conn.0];
        if slot.generation as usize != token >> 32 || slot.stream.is_none() {
            return;
        }
        if event.is_writable() {
            self.flush(conn);
        }
        if event.is_readable() || event.is_error() {
            self.read(conn, event.is_read_closed() || event.is_error(), script);
        }
    }

    /// Reads until nothing is left: events come only when something new arrives.
    fn read(&mut self, conn: ConnId, to_the_end: bool, script: &mut impl Script) {
        let generation = self.conns[conn.0].generation;
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let slot = &mut self.conns[conn.0];
            let Some(stream) = slot.stream.as_mut().filter(|_| slot.generation == generation) else { break };
            let kept = slot.rest.len();
            if buffer.len() < kept + READ_AT_ONCE {
                buffer.resize(kept + READ_AT_ONCE, 0);
            }
            buffer[..kept].copy_from_slice(&slot.rest);
            let received = match stream.read(&mut buffer[kept..]) {
                Ok(received @ 1..) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => {
                    self.cut(conn);
                    script.closed(conn);
                    break;
                }
            };
            slot.rest.clear();
            let end = kept + received;
            let used = self.consume(conn, generation, &buffer[..end], script);
            self.flush(conn);
            if self.is_live(conn, generation) {
                self.conns[conn.0].rest.extend_from_slice(&buffer[used..end]);
            }
            // A short read has emptied the socket, unless its end is still to be read.
            if end < buffer.len() && !to_the_end {
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Handles every complete message; gives the number of bytes they took.
    fn consume(&mut self, conn: ConnId, generation: u32, bytes: &[u8], script: &mut impl Script) -> usize {
        let now = Instant::now();
        let mut used = 0;
        while self.is_live(conn, generation) {
            let unread = &bytes[used..];
            let (step, taken) = match (self.protocol, self.conns[conn.0].phase) {
                (Protocol::Http, _) => incoming::http_response(unread),
                (Protocol::WebSocket, Phase::Handshake) => incoming::handshake(unread),
                (Protocol::WebSocket, Phase::Open) => incoming::websocket(unread),
            };
            used += taken;
            match step {
                Step::Incomplete => break,
                Step::Opened => {
                    self.conns[conn.0].phase = Phase::Open;
                    script.opened(self, conn);
                }
                Step::Message(message) => script.received(self, conn, message, now),
                Step::Ping(body) => self.send_frame(conn, frame::PONG, body),
                Step::Ignored => {}
                Step::Breach => {
                    self.breaches += 1;
                    self.cut(conn);
                    script.closed(conn);
                }
            }
        }
        used
    }

    fn is_live(&self, conn: ConnId, generation: u32) -> bool {
        let slot = &self.conns[conn.0];
        slot.generation == generation && slot.stream.is_some()
    }
}

impl Conn {
    fn new(started: Instant) -> Self {
        Self {
            stream: None,
            phase: Phase::Handshake,
            generation: 0,
            rest: Vec::new(),
            out: Vec::new(),
            written: 0,
            is_dirty: false,
            started,
        }
    }
}
