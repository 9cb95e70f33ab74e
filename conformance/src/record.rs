//! Takes recordings: a transparent TCP proxy that writes down what passes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::recording::{
    Conn, Ctl, Direction, Entry, Event, Frame, Item, Meta, Payload, Request, Response, Transport, Wire,
    write_entry,
};
use crate::wire::Tap;

/// Bytes read at once in either direction.
const CHUNK: usize = 64 * 1024;

/// A proxy that records.
///
/// Every listener is a client of its own: `A` for the first, `B` for the second, and so on. Everything is forwarded as it
/// comes, also what is no HTTP and no WebSocket. A `POST` to `/ctl/…` becomes a `ctl` line.
pub struct Recorder {
    listeners: Vec<TcpListener>,
    upstream: String,
    log: Arc<Log>,
}

impl Recorder {
    /// Writes the first line of a recording to `out`; `upstream` is the `host:port` of the server.
    pub fn new(
        listeners: Vec<TcpListener>,
        upstream: impl Into<String>,
        meta: Meta,
        out: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let log = Log { start: Instant::now(), conns: AtomicU32::new(0), out: Mutex::new(Box::new(out)) };
        log.write(&Entry::new(0.0, Item::Meta(meta)))?;
        Ok(Self { listeners, upstream: upstream.into(), log: Arc::new(log) })
    }

    /// Records until the future is dropped, or a listener or the output fails.
    pub async fn run(self) -> io::Result<()> {
        let mut clients = JoinSet::new();
        for (listener, label) in self.listeners.into_iter().zip('A'..='Z') {
            clients.spawn(accept(listener, label.to_string(), self.upstream.clone(), self.log.clone()));
        }
        match clients.join_next().await {
            Some(result) => result.unwrap_or_else(|error| Err(io::Error::other(error))),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

struct Log {
    start: Instant,
    conns: AtomicU32,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Log {
    fn write(&self, entry: &Entry) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = Vec::new();
        write_entry(entry, &mut line)?;
        out.write_all(&line)?;
        out.flush()
    }

    fn now(&self) -> f64 {
        let tenths = self.start.elapsed().as_micros() / 100;
        f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
    }
}

async fn accept(listener: TcpListener, label: String, upstream: String, log: Arc<Log>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let conn = Conn(log.conns.fetch_add(1, Ordering::Relaxed) + 1);
                let (log, client) = (log.clone(), label.clone());
                let lane = Lane { log, client, conn, transport: Transport::Tcp, control: None };
                connections.spawn(lane.forward(stream, upstream.clone()));
            }
            Some(result) = connections.join_next() => result.unwrap_or_else(|error| Err(io::Error::other(error)))?,
        }
    }
}

/// One connection through the proxy.
struct Lane {
    log: Arc<Log>,
    client: String,
    conn: Conn,
    transport: Transport,
    /// A control call that waits for its response.
    control: Option<Ctl>,
}

impl Lane {
    /// Fails only if the recording cannot be written.
    async fn forward(mut self, client: TcpStream, upstream: String) -> io::Result<()> {
        let server = TcpStream::connect(upstream).await.and_then(|server| {
            server.set_nodelay(true)?;
            client.set_nodelay(true)?;
            Ok(server)
        });
        let server = match server {
            Ok(server) => server,
            Err(error) => return self.note(Direction::ServerToClient, vec![Event::Error(name(&error))]),
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut tap = Tap::new();
        let (mut client_bytes, mut server_bytes) = (vec![0; CHUNK], vec![0; CHUNK]);
        let (mut client_open, mut server_open) = (true, true);
        while client_open || server_open {
            tokio::select! {
                read = read(&mut from_client, &mut client_bytes), if client_open => {
                    let events = read.as_ref().map_or_else(|()| vec![Event::Rst], |bytes| tap.client(bytes));
                    self.note(Direction::ClientToServer, events)?;
                    client_open = pass(read, &mut to_server).await;
                }
                read = read(&mut from_server, &mut server_bytes), if server_open => {
                    let events = read.as_ref().map_or_else(|()| vec![Event::Rst], |bytes| tap.server(bytes));
                    self.note(Direction::ServerToClient, events)?;
                    server_open = pass(read, &mut to_client).await;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, dir: Direction, events: Vec<Event>) -> io::Result<()> {
        for event in events {
            if let Event::Request(request) = &event {
                self.transport = transport(request);
                self.control = control(request);
            }
            if let (Some(ctl), Event::Response(response)) = (&mut self.control, &event) {
                ctl.response = response
                    .content()
                    .text()
                    .and_then(|text| serde_json::from_str(text).ok())
                    .unwrap_or_default();
                self.log.write(&Entry::new(self.log.now(), Item::Ctl(ctl.clone())))?;
            }
            if self.control.is_some() {
                continue;
            }
            let event = abbreviate(event);
            let wire = Wire::new(self.client.clone(), self.conn, dir, self.transport, event);
            self.log.write(&Entry::new(self.log.now(), Item::Wire(wire)))?;
        }
        Ok(())
    }
}

/// Reads once; no bytes are the end, an error is a reset.
async fn read<'a>(from: &mut (impl AsyncRead + Unpin), buffer: &'a mut [u8]) -> Result<&'a [u8], ()> {
    let length = from.read(buffer).await.map_err(|_| ())?;
    Ok(&buffer[..length])
}

/// Hands on what was read; `false` at the end. A side that is gone takes nothing: its own direction tells.
async fn pass(read: Result<&[u8], ()>, to: &mut (impl AsyncWrite + Unpin)) -> bool {
    if let Ok(bytes @ [_, ..]) = read {
        return to.write_all(bytes).await.is_ok();
    }
    let _ = to.shutdown().await;
    false
}

fn transport(request: &Request) -> Transport {
    let mut segments = request.path.rsplit('/').filter(|segment| !segment.is_empty());
    match segments.next() {
        Some("websocket") => Transport::Websocket,
        Some("longpoll") => Transport::Longpoll,
        _ => Transport::Http,
    }
}

/// A request to the control interface.
fn control(request: &Request) -> Option<Ctl> {
    let action = request.path.strip_prefix("/ctl/").filter(|_| request.method == "POST")?;
    let body = serde_json::from_str(request.body.text()?).ok()?;
    Some(Ctl { action: action.to_owned(), request: body, response: serde_json::Value::Null })
}

fn abbreviate(event: Event) -> Event {
    let short = |payload: Payload| match payload {
        Payload::Whole(bytes) => Payload::abbreviate(bytes),
        short @ Payload::Abbreviated(_) => short,
    };
    match event {
        Event::Request(request) => Event::Request(Request { body: short(request.body), ..request }),
        Event::Response(response) => Event::Response(Response {
            body: short(response.body),
            gunzipped: response.gunzipped.map(short),
            ..response
        }),
        Event::Frame(frame) => {
            let frame = Frame { payload: short(frame.payload), inflated: frame.inflated.map(short), ..frame };
            Event::Frame(frame)
        }
        other => other,
    }
}

/// The name of an error as the operating system has it.
fn name(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "ECONNREFUSED".to_owned(),
        io::ErrorKind::ConnectionReset => "ECONNRESET".to_owned(),
        kind => kind.to_string(),
    }
}
