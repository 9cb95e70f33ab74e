//! A server that plays the server's part of a recording, from the recording itself.

mod disguise;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use disguise::Disguise;
use futures_util::future::BoxFuture;
use phoenix_conformance::net::{Dial, Stream};
use phoenix_conformance::recording::{
    Conn, Direction, Event, Fin, Frame, Item, Payload, Recording, Request, Response, Transport,
};
use phoenix_conformance::wire::{self, Decoder};
use phoenix_conformance::{Replay, Report};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What the server of the playback takes for its own `host:port`.
pub(crate) const AUTHORITY: &str = "127.0.0.1:4000";

/// Opens a recording of this crate.
pub(crate) fn recording(name: &str) -> Recording {
    Recording::open(format!("{}/recordings/{name}.jsonl", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Replays a recording against its own playback, through `wrap`, and says what the playback did not like.
pub(crate) async fn replay_through(
    name: &str,
    wrap: impl FnOnce(Arc<dyn Dial>) -> Arc<dyn Dial>,
) -> (Report, Vec<String>) {
    let playback = Playback::start(recording(name));
    let complaints = playback.complaints.clone();
    let report = replay(wrap(Arc::new(playback))).recordings([recording(name)]).run().await.unwrap();
    let complaints = complaints.lock().unwrap().clone();
    (report, complaints)
}

/// A replay against a playback.
pub(crate) fn replay(server: Arc<dyn Dial>) -> Replay {
    Replay::with_dial(server, AUTHORITY).ctl_dial(Arc::new(Control)).on_stop(|| async {})
}

/// The listener of a playback. Its nth connection is the nth of the recording.
pub(crate) struct Playback {
    lanes: Vec<Lane>,
    accepted: AtomicUsize,
    accept: mpsc::UnboundedSender<(Lane, DuplexStream)>,
    /// What the playback did not like about its client.
    complaints: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Lane {
    Recorded(Conn),
    Refused,
    /// The request around the proxy that stands in this entry.
    Direct(usize),
}

impl Playback {
    pub(crate) fn start(recording: Recording) -> Self {
        let (accept, accepted) = mpsc::unbounded_channel();
        let complaints = Arc::<Mutex<Vec<String>>>::default();
        let lanes = lanes(&recording);
        let player = Player {
            disguise: Disguise::new(&recording),
            accepted,
            connections: BTreeMap::new(),
            complaints: complaints.clone(),
            anchor: (0.0, Instant::now()),
        };
        tokio::spawn(player.play(recording));
        Self { lanes, accepted: AtomicUsize::new(0), accept, complaints }
    }
}

impl Dial for Playback {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let lane = self.lanes.get(self.accepted.fetch_add(1, Ordering::SeqCst)).copied();
        let result = match lane {
            Some(lane @ (Lane::Recorded(_) | Lane::Direct(_))) => {
                let (client, server) = duplex(64 * 1024);
                self.accept.send((lane, server)).map(|()| Stream::new(client)).map_err(|_| gone())
            }
            Some(Lane::Refused) | None => Err(gone()),
        };
        Box::pin(async move { result })
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionRefused.into()
}

/// A control interface that agrees to everything: the playback acts without being told.
pub(crate) struct Control;

impl Dial for Control {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let (client, mut server) = duplex(64 * 1024);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            let length = server.read(&mut buffer).await.unwrap();
            assert!(buffer[..length].starts_with(b"POST /ctl/"));
            server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        });
        Box::pin(async move { Ok(Stream::new(client)) })
    }
}

/// The connections in the order in which a client opens them.
fn lanes(recording: &Recording) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for (index, entry) in recording.entries.iter().enumerate() {
        match &entry.item {
            Item::Wire(wire) if wire.transport != Transport::Http => {
                let lane = Lane::Recorded(wire.conn);
                if !lanes.contains(&lane) {
                    lanes.push(lane);
                }
            }
            Item::DirectHttp(_) => lanes.push(Lane::Direct(index)),
            _ => {}
        }
    }
    for conn in refused(recording) {
        lanes.iter_mut().filter(|lane| **lane == Lane::Recorded(conn)).for_each(|lane| *lane = Lane::Refused);
    }
    lanes
}

/// The connections nobody listened for.
fn refused(recording: &Recording) -> impl Iterator<Item = Conn> {
    recording.entries.iter().filter_map(|entry| match &entry.item {
        Item::Wire(wire) if wire.event == Event::Error("ECONNREFUSED".into()) => Some(wire.conn),
        _ => None,
    })
}

struct Player {
    disguise: Disguise,
    accepted: mpsc::UnboundedReceiver<(Lane, DuplexStream)>,
    connections: BTreeMap<Conn, Connection>,
    complaints: Arc<Mutex<Vec<String>>>,
    anchor: (f64, Instant),
}

struct Connection {
    write: WriteHalf<DuplexStream>,
    decoder: Arc<Mutex<Decoder>>,
    events: mpsc::UnboundedReceiver<Event>,
    events_in: mpsc::UnboundedSender<Event>,
    buffered: VecDeque<Event>,
}

impl Player {
    async fn play(mut self, recording: Recording) {
        let refused: Vec<Conn> = refused(&recording).collect();
        for (index, entry) in recording.entries.iter().enumerate() {
            match &entry.item {
                Item::Wire(wire) if wire.transport != Transport::Http => {
                    if refused.contains(&wire.conn) {
                        continue;
                    }
                    match (wire.dir, &wire.event) {
                        (_, Event::Error(_)) => {}
                        (Direction::ClientToServer, event) => self.receive(wire.conn, event, index + 1).await,
                        (Direction::ServerToClient, event) => {
                            let pause = Duration::from_secs_f64((entry.t - self.anchor.0).max(0.0) / 1000.0);
                            sleep_until(self.anchor.1 + pause).await;
                            self.send(wire.conn, event).await;
                        }
                    }
                    self.anchor = (entry.t, Instant::now());
                }
                Item::DirectHttp(direct) => {
                    let status = direct.response["status"].as_u64().unwrap();
                    let (mut connection, length) = self.accept_direct(index).await;
                    let wanted = direct.request["body"].as_str().unwrap().trim_start_matches('(');
                    if !wanted.starts_with(&length.to_string()) {
                        self.complaints
                            .lock()
                            .unwrap()
                            .push(format!("line {}: body of {length} bytes", index + 1));
                    }
                    let response = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    connection.write.write_all(response.as_bytes()).await.unwrap();
                    self.anchor = (entry.t, Instant::now());
                }
                _ => {}
            }
        }
        // The client ends what the recording leaves open.
        std::future::pending::<()>().await;
    }

    async fn connection(&mut self, conn: Conn) -> &mut Connection {
        while !self.connections.contains_key(&conn) {
            let (lane, stream) = self.accepted.recv().await.unwrap();
            match lane {
                Lane::Recorded(number) => self.connections.insert(number, Connection::new(stream)),
                Lane::Refused | Lane::Direct(_) => panic!("not a recorded connection"),
            };
        }
        self.connections.get_mut(&conn).unwrap()
    }

    async fn accept_direct(&mut self, index: usize) -> (Connection, usize) {
        loop {
            let (lane, stream) = self.accepted.recv().await.unwrap();
            let mut connection = Connection::new(stream);
            match lane {
                Lane::Recorded(conn) => {
                    self.connections.insert(conn, connection);
                }
                lane => {
                    assert!(lane == Lane::Direct(index));
                    let Event::Request(request) = connection.next().await else { panic!("no request") };
                    return (connection, request.body.len());
                }
            }
        }
    }

    async fn receive(&mut self, conn: Conn, recorded: &Event, line: usize) {
        let event = self.connection(conn).await.next().await;
        let wanted = match recorded {
            Event::Request(request) => Event::Request(self.disguise.request(request)),
            Event::Frame(frame) => Event::Frame(Frame {
                payload: Payload::Whole(frame.payload.rebuild().unwrap()),
                ..frame.clone()
            }),
            Event::Rst => Event::Fin(Fin::default()),
            other => other.clone(),
        };
        if plain(event.clone()) != plain(wanted.clone()) {
            self.complaints.lock().unwrap().push(format!("line {line}: {event:?}\ninstead of {wanted:?}"));
        }
    }

    async fn send(&mut self, conn: Conn, recorded: &Event) {
        let event = self.disguise.event(recorded);
        let connection = self.connection(conn).await;
        // A client that is gone hears nothing.
        match &event {
            Event::Fin(_) | Event::Rst => {
                let _ = connection.write.shutdown().await;
            }
            event => {
                let _ = connection.write.write_all(&wire::encode(event).unwrap()).await;
            }
        }
        if let Event::Response(response) = &event {
            connection.note_response(response);
        }
    }
}

impl Connection {
    fn new(stream: DuplexStream) -> Self {
        let (read, write) = split(stream);
        let decoder = Arc::new(Mutex::new(Decoder::new(Direction::ClientToServer)));
        let (events_in, events) = mpsc::unbounded_channel();
        tokio::spawn(read_all(read, decoder.clone(), events_in.clone()));
        Self { write, decoder, events, events_in, buffered: VecDeque::new() }
    }

    async fn next(&mut self) -> Event {
        match self.buffered.pop_front() {
            Some(event) => event,
            None => self.events.recv().await.unwrap(),
        }
    }

    fn note_response(&mut self, response: &Response) {
        let mut decoder = self.decoder.lock().unwrap();
        decoder.note_response(response);
        while let Some(event) = decoder.poll() {
            self.events_in.send(event).unwrap();
        }
    }
}

async fn read_all(
    mut read: ReadHalf<DuplexStream>,
    decoder: Arc<Mutex<Decoder>>,
    events_in: mpsc::UnboundedSender<Event>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = read.read(&mut buffer).await.unwrap_or(0);
        let mut decoder = decoder.lock().unwrap();
        let events = if length == 0 {
            decoder.finish()
        } else {
            decoder.push(&buffer[..length]);
            std::iter::from_fn(|| decoder.poll()).collect()
        };
        for event in events {
            let _ = events_in.send(event);
        }
        if length == 0 {
            return;
        }
    }
}

/// An event without what only a decoder knows.
fn plain(event: Event) -> Event {
    match event {
        Event::Frame(frame) => Event::Frame(Frame { inflated: None, ..frame }),
        Event::Request(request) => {
            let body = Payload::Whole(request.body.rebuild().unwrap());
            Event::Request(Request { body, ..request })
        }
        other => other,
    }
}
