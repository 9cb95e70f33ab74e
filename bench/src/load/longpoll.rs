//! Long polling: every session has one echo at a time, one POST and the poll that brings its reply.

use std::time::Instant;

use serde::Deserialize;

use super::measure::{Measured, measure};
use super::net::{ConnId, Driver, Net, Protocol, Script};
use super::outgoing::{JOIN_REF, Outgoing, Push};
use super::tally::{Stall, Tally};
use super::{LoadError, Outcome, Pid, Plan, Target};
use crate::wire::message::{self, Field};

pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let path = target.longpoll_path();
    let mut driver = Driver::new(Net::new(Protocol::Http, target.address, &path)?, plan.busy);
    let mut script = LongPoll {
        host: target.address.to_string(),
        path,
        sessions: (0..plan.clients).map(Session::new).collect(),
        joined: 0,
        outgoing: Outgoing::new(plan.size, plan.nested),
        seq: Field::new("\"seq\""),
        tally: Tally::new(),
    };
    let resident = || server.map(Pid::resident_kib).transpose();

    let before = resident()?;
    script.join_all(&mut driver, plan)?;
    let start = Instant::now();
    driver.turn_until(&mut script, |_, now| now - start >= plan.settle)?;
    let after = resident()?;
    let mut outcome = measure(&mut driver, &mut script, plan, server)?;
    outcome.kib_per_connection =
        before.zip(after).map(|(before, after)| (after as f64 - before as f64) / plan.clients as f64);
    Ok(outcome)
}

struct LongPoll {
    host: String,
    path: String,
    sessions: Vec<Session>,
    joined: usize,
    outgoing: Outgoing,
    seq: Field,
    tally: Tally,
}

struct Session {
    topic: String,
    token: String,
    state: State,
    last_seq: u64,
    sent_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first GET is under way.
    Opening,
    /// The join is posted, then polled for.
    Joining(Request),
    /// Joined, and nothing under way.
    Ready,
    /// An echo is posted, then polled for.
    Echoing(Request),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Post,
    Get,
}

/// The body of every response; protocol §15.3.
#[derive(Deserialize)]
struct Answer {
    status: u16,
    token: Option<String>,
    #[serde(default)]
    messages: Vec<String>,
}

impl Session {
    fn new(client: usize) -> Self {
        let topic = format!("bench:{client}");
        Self { topic, token: String::new(), state: State::Opening, last_seq: 0, sent_at: None }
    }
}

impl LongPoll {
    fn join_all(&mut self, driver: &mut Driver, plan: &Plan) -> Result<(), LoadError> {
        let wanted = self.sessions.len();
        for number in 0..wanted {
            driver.net.connect(ConnId(number))?;
            self.get(&mut driver.net, ConnId(number));
        }
        let mut stall = Stall::new(plan.patience, Instant::now());
        driver.turn_until(self, |script, now| {
            script.joined == wanted || stall.is_over(script.joined as u64, now)
        })?;
        if self.joined < wanted {
            return Err(LoadError::NotJoined { joined: self.joined, wanted });
        }
        Ok(())
    }

    fn get(&self, net: &mut Net, conn: ConnId) {
        let Self { host, path, .. } = self;
        let token = &self.sessions[conn.0].token;
        let separator = if token.is_empty() { "" } else { "&token=" };
        let request = format!(
            "GET {path}{separator}{token} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"
        );
        net.send_raw(conn, request.as_bytes());
    }

    fn post(&self, net: &mut Net, conn: ConnId, line: &[u8]) {
        let Self { host, path, .. } = self;
        let token = &self.sessions[conn.0].token;
        let head = format!(
            "POST {path}&token={token} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-ndjson\r\n\
             Content-Length: {}\r\n\r\n",
            line.len()
        );
        net.send_raw(conn, &[head.as_bytes(), line].concat());
    }

    fn echo(&mut self, net: &mut Net, conn: ConnId, now: Instant) {
        let session = &mut self.sessions[conn.0];
        if !self.tally.spend() {
            session.state = State::Ready;
            return;
        }
        session.last_seq += 1;
        session.sent_at = Some(now);
        session.state = State::Echoing(Request::Post);
        self.tally.expected += 1;
        let seq = session.last_seq;
        let push =
            Push { reference: JOIN_REF + seq, topic: &session.topic, event: "echo", from: conn.0, seq };
        let line = self.outgoing.line(&push).to_vec();
        self.post(net, conn, &line);
    }

    /// Acts on an answer; `None` when it is none that may come now.
    fn step(&mut self, net: &mut Net, conn: ConnId, answer: Answer, now: Instant) -> Option<()> {
        let session = &mut self.sessions[conn.0];
        match (session.state, answer.status) {
            (State::Opening, 410) => {
                session.token = answer.token?;
                session.state = State::Joining(Request::Post);
                let join = format!(r#"["{JOIN_REF}","{JOIN_REF}","{}","phx_join",{{}}]"#, session.topic);
                self.post(net, conn, join.as_bytes());
            }
            (State::Joining(Request::Post), 200) => {
                session.state = State::Joining(Request::Get);
                self.get(net, conn);
            }
            (State::Echoing(Request::Post), 200) => {
                session.state = State::Echoing(Request::Get);
                self.get(net, conn);
            }
            // The window has elapsed.
            (State::Joining(Request::Get) | State::Echoing(Request::Get), 204) => self.get(net, conn),
            (State::Joining(Request::Get), 200) => {
                self.reply(&answer, None)?;
                self.joined += 1;
                self.echo(net, conn, now);
            }
            (State::Echoing(Request::Get), 200) => {
                let (seq, sent_at) = (session.last_seq, session.sent_at?);
                self.reply(&answer, Some(seq))?;
                self.tally.received += 1;
                self.tally.done(sent_at, now);
                self.echo(net, conn, now);
            }
            _ => return None,
        }
        Some(())
    }

    /// Checks that the answer holds one reply: that to the join, or to the echo of this number.
    fn reply(&self, answer: &Answer, seq: Option<u64>) -> Option<()> {
        let [text] = &answer.messages[..] else { return None };
        let message = message::parse(text.as_bytes())?;
        let reference = message::number(message.reference)?;
        let is_right = message.event == b"phx_reply"
            && message::is_ok(message.payload)
            && reference == JOIN_REF + seq.unwrap_or(0)
            && self.seq.read(message.payload) == seq;
        is_right.then_some(())
    }
}

impl Script for LongPoll {
    fn received(&mut self, net: &mut Net, conn: ConnId, body: &[u8], now: Instant) {
        let answer = serde_json::from_slice(body).ok();
        if answer.and_then(|answer| self.step(net, conn, answer, now)).is_none() {
            self.tally.unexpected += 1;
        }
    }

    fn closed(&mut self, _conn: ConnId) {
        self.tally.disconnected += 1;
    }

    fn tick(&mut self, net: &mut Net, now: Instant) {
        if self.tally.budget > 0 && self.joined == self.sessions.len() {
            for number in 0..self.sessions.len() {
                if self.sessions[number].state == State::Ready {
                    self.echo(net, ConnId(number), now);
                }
            }
        }
    }
}

impl Measured for LongPoll {
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
