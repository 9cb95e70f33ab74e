//! One recording against one server.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::conn::{Arrival, Command, Connection, call};
use super::observed::{Observed, Overdue, Seen};
use super::polls::{Poll, Sessions, messages};
use super::variables::{Variables, request_token};
use super::{Hook, Server};
use crate::recording::{Conn, Event, Payload, Recording, Request, Response};
use crate::script::{Act, Part, Script, Step};
use crate::wire;

/// How long a server has to notice what clients sent before a call that comes on another connection.
const HEAD_START: Duration = Duration::from_millis(20);

/// Pauses of a client shorter than this are not kept.
const KEPT_PAUSE: f64 = 3.0;

/// How long the server is watched for what nobody expects, after the last expected event.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Patience after the server failed to say something: one missing frame must not cost a wait at every step.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// Events of all connections that wait for the replay.
const ARRIVALS: usize = 4096;

pub(super) async fn run(
    recording: &Recording,
    script: &Script,
    excused: BTreeMap<Conn, BTreeSet<usize>>,
    server: &Server,
    stop: Option<&Hook>,
    patience: Duration,
) -> Observed {
    let (sender, arrivals) = mpsc::channel(ARRIVALS);
    let mut run = Run {
        script,
        excused,
        server,
        patience,
        sender,
        arrivals,
        connections: BTreeMap::new(),
        polls: BTreeMap::new(),
        sessions: Sessions::default(),
        count: 0,
        due: BTreeMap::new(),
        padding: None,
        anchor: (0.0, Instant::now()),
        observed: Observed { variables: Variables::new(recording, &server.authority), ..Observed::default() },
    };
    for step in &script.steps {
        run.step(step, stop).await;
    }
    run.wait_for_expected().await;
    run.watch_until(Instant::now() + AFTERMATH).await;
    run.observed
}

struct Run<'a> {
    script: &'a Script,
    /// Expected events that nobody waits for.
    excused: BTreeMap<Conn, BTreeSet<usize>>,
    server: &'a Server,
    patience: Duration,
    sender: mpsc::Sender<Arrival>,
    arrivals: mpsc::Receiver<Arrival>,
    connections: BTreeMap<Conn, Connection>,
    /// The poll that waits for its response, by connection.
    polls: BTreeMap<Conn, (Option<Poll>, Request, String)>,
    sessions: Sessions,
    /// How many events arrived.
    count: usize,
    /// How many of the expected events of each connection were recorded before the current step.
    due: BTreeMap<Conn, usize>,
    /// The last large request body: a call around the proxy repeats it in another size.
    padding: Option<Payload>,
    /// A moment of the recording and when it was in this run.
    anchor: (f64, Instant),
    observed: Observed,
}

impl Run<'_> {
    async fn step(&mut self, step: &Step, stop_server: Option<&Hook>) {
        if let Act::Expect { conn, index } = step.act {
            *self.due.entry(conn).or_default() = index + 1;
            self.anchor.1 = self.moment(step.t);
            self.anchor.0 = step.t;
            return;
        }
        self.wait_for_expected().await;
        if step.t - self.anchor.0 >= KEPT_PAUSE {
            self.watch_until(self.moment(step.t)).await;
        }
        match &step.act {
            Act::Send { conn, parts } => self.send(*conn, parts).await,
            Act::Ctl(ctl) => {
                // The call must not overtake what was sent before it.
                self.watch_until(Instant::now() + HEAD_START).await;
                self.control(step.line, ctl).await;
            }
            Act::Direct(direct) => self.direct(step.line, direct).await,
            Act::Stop => {
                if let Some(stop) = stop_server {
                    stop().await;
                }
            }
            Act::Expect { .. } => {}
        }
        self.anchor = (step.t, Instant::now());
    }

    /// When a moment of the recording is in this run.
    fn moment(&self, t: f64) -> Instant {
        self.anchor.1 + Duration::from_secs_f64((t - self.anchor.0).max(0.0) / 1000.0)
    }

    /// Waits until the server has said everything that it said before this step of the recording.
    async fn wait_for_expected(&mut self) {
        let deadline = self.anchor.1.max(Instant::now()) + self.patience;
        let mut last = None;
        while !self.is_up_to_date() {
            if let Ok(Some(arrival)) = timeout_at(deadline, self.arrivals.recv()).await {
                last = Some(arrival.at);
                self.arrive(arrival).await;
            } else {
                self.give_up();
            }
        }
        if let Some(at) = last {
            self.anchor.1 = at;
        } else {
            self.anchor.1 = self.anchor.1.min(Instant::now());
        }
    }

    fn is_up_to_date(&self) -> bool {
        self.due.iter().all(|(conn, due)| {
            self.observed.conns.get(conn).is_some_and(|lane| {
                lane.ended_by_server
                    || lane.refused
                    || lane.seen.len() + lane.left_out.len() + lane.given_up
                        >= needed(&self.excused, *conn, *due)
            })
        })
    }

    fn give_up(&mut self) {
        self.patience = self.patience.min(SHORT_PATIENCE);
        for (conn, due) in &self.due {
            let lane = self.observed.conns.entry(*conn).or_default();
            let needed = needed(&self.excused, *conn, *due);
            let missing = needed.saturating_sub(lane.seen.len() + lane.left_out.len());
            if missing > lane.given_up && !lane.ended_by_server && !lane.refused {
                lane.overdue.push(Overdue { due: *due, seen: lane.seen.len() });
            }
            lane.given_up = missing;
        }
    }

    async fn watch_until(&mut self, deadline: Instant) {
        while let Ok(Some(arrival)) = timeout_at(deadline, self.arrivals.recv()).await {
            self.arrive(arrival).await;
        }
        sleep_until(deadline).await;
    }

    async fn arrive(&mut self, arrival: Arrival) {
        let Arrival { conn, at, event } = arrival;
        let (mut found, mut session) = (None, None);
        if let Event::Response(response) = &event {
            self.learn(conn, response);
            found = messages(response);
            if let Some((poll, request, token)) = self.polls.remove(&conn) {
                found = self.complete(found, response.status, poll.as_ref(), &request, &token).await;
                session = Some(token);
            }
        }
        self.count += 1;
        let lane = self.observed.conns.entry(conn).or_default();
        lane.ended_by_server |= matches!(event, Event::Fin(_) | Event::Rst);
        let since = lane.last.replace(at).map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        lane.seen.push(Seen { nth: self.count, event, since, messages: found, session });
    }

    /// Learns the token of a session by putting the response next to the recorded one.
    fn learn(&mut self, conn: Conn, actual: &Response) {
        let Some(lane) = self.script.conns.get(&conn) else { return };
        let seen = self.observed.conns.entry(conn).or_default();
        let mut index = seen.seen.len();
        index += seen.left_out.range(..=index).count();
        if let Some(Event::Response(recorded)) = lane.expected.get(index).map(|expected| &expected.event) {
            self.observed.variables.learn(recorded, actual);
        }
    }

    /// Polls again until the messages of the recorded poll are there, or a poll brings none.
    async fn complete(
        &mut self,
        found: Option<Vec<String>>,
        status: u16,
        poll: Option<&Poll>,
        request: &Request,
        token: &str,
    ) -> Option<Vec<String>> {
        let mut all = found?;
        self.sessions.receive(token, all.len());
        while let Some(poll) = poll.filter(|_| status == 200 && !all.is_empty()) {
            if self.sessions.has(poll) {
                break;
            }
            let more = call(&*self.server.dial, request.clone()).await.ok().and_then(|more| messages(&more));
            let Some(more) = more.filter(|more| !more.is_empty()) else { break };
            self.sessions.receive(token, more.len());
            all.extend(more);
        }
        Some(all)
    }

    async fn send(&mut self, conn: Conn, parts: &[Part]) {
        if self.observed.conns.get(&conn).is_some_and(|lane| lane.refused) {
            return;
        }
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Part::Event(Event::Request(request)) => return self.send_request(conn, request).await,
                Part::Event(event @ Event::Frame(_)) => bytes.extend(wire::encode(event).unwrap_or_default()),
                Part::Event(Event::Fin(_)) => return self.end(conn, Some(Command::Fin)).await,
                Part::Event(Event::Rst) => return self.end(conn, Some(Command::Reset)).await,
                Part::Cut => return self.end(conn, None).await,
                Part::PartialFrame(partial) => wire::encode_partial(partial, &mut bytes),
                Part::PartialHeader(length) => bytes.extend([0x81, 0x85, 0, 0, 0].iter().take(*length)),
                Part::Event(Event::Response(_) | Event::Error(_)) => {}
            }
        }
        self.write(conn, bytes, None).await;
    }

    async fn send_request(&mut self, conn: Conn, recorded: &Request) {
        if recorded.body.whole().is_none() {
            self.padding = Some(recorded.body.clone());
        }
        let lane = self.observed.conns.entry(conn).or_default();
        let nth = lane.requests;
        lane.requests += 1;
        let poll = self.script.conns.get(&conn).and_then(|lane| self.sessions.plan(recorded, lane, nth));
        if let Some(poll) = poll.as_ref().filter(|poll| self.sessions.has(poll)) {
            let count = self.script.conns[&conn].expected.len();
            lane.left_out.extend(if poll.exclusive { 0..count } else { poll.index..poll.index + 1 });
            lane.refused |= poll.exclusive;
            return;
        }
        let request = self.observed.variables.request(recorded);
        if let Some(token) = request_token(recorded).filter(|_| recorded.method == "GET") {
            self.polls.insert(conn, (poll, request.clone(), token.to_owned()));
        }
        let bytes = wire::encode(&Event::Request(request.clone())).unwrap_or_default();
        self.write(conn, bytes, Some(request)).await;
    }

    async fn write(&mut self, conn: Conn, bytes: Vec<u8>, request: Option<Request>) {
        if let Some(connection) = self.connect(conn).await {
            connection.command(Command::Write(bytes, request.map(Box::new))).await;
            self.observed.conns.entry(conn).or_default().last = Some(Instant::now());
        }
    }

    /// Ends a connection. It is kept only as long as the recording has something more on it.
    async fn end(&mut self, conn: Conn, command: Option<Command>) {
        if let (Some(connection), Some(command)) = (self.connect(conn).await, command) {
            connection.command(command).await;
        }
        let lane = self.observed.conns.entry(conn).or_default();
        lane.ended_by_client = true;
        lane.last = Some(Instant::now());
        let expected = self.script.conns.get(&conn).map_or(0, |lane| lane.expected.len());
        if self.due.get(&conn).copied().unwrap_or_default() >= expected {
            self.connections.remove(&conn);
        }
    }

    async fn connect(&mut self, conn: Conn) -> Option<&Connection> {
        if !self.connections.contains_key(&conn) {
            let lane = self.observed.conns.entry(conn).or_default();
            match self.server.dial.dial().await {
                Ok(stream) => {
                    let connection = Connection::start(conn, stream, self.sender.clone());
                    self.connections.insert(conn, connection);
                }
                Err(_) => lane.refused = true,
            }
        }
        self.connections.get(&conn)
    }
}

/// How many of the first `due` expected events have to come.
fn needed(excused: &BTreeMap<Conn, BTreeSet<usize>>, conn: Conn, due: usize) -> usize {
    due - excused.get(&conn).map_or(0, |excused| excused.range(..due).count())
}
