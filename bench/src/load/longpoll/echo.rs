//! Sessions with one poll open each; while there is a budget each has one echo at a time.

use std::time::Instant;

use super::opening::Opened;
use super::polls;
use super::wire::{Answer, Wire};
use crate::load::measure::Measured;
use crate::load::net::{ConnId, Driver, Net, Script};
use crate::load::outgoing::{JOIN_REF, Outgoing, Push};
use crate::load::tally::{Stall, Tally};
use crate::load::{LoadError, Plan};

pub(super) struct Echo {
    wire: Wire,
    sessions: Vec<Session>,
    /// Connections that have had their first answer.
    connected: usize,
    phase: Phase,
    outgoing: Outgoing,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing but the answers to the first requests may come.
    Connecting,
    /// Every session polls.
    Polling,
    /// Every session polls, and may post.
    Posting,
}

struct Session {
    opened: Opened,
    last_seq: u64,
    /// When the last message was sent whose reply has not come.
    sent_at: Option<Instant>,
    /// Whether the last POST is not answered.
    is_posting: bool,
}

impl Echo {
    /// `tally` has the faults so far.
    pub(super) fn new(wire: Wire, sessions: Vec<Opened>, tally: Tally, plan: &Plan) -> Self {
        let sessions = sessions
            .into_iter()
            .map(|opened| Session { opened, last_seq: 0, sent_at: None, is_posting: false })
            .collect();
        let outgoing = Outgoing::new(plan.size, plan.nested);
        Self { wire, sessions, connected: 0, phase: Phase::Connecting, outgoing, tally }
    }

    /// Makes a connection for each session, and asks once on each for something that needs no session.
    pub(super) fn connect(&mut self, driver: &mut Driver, plan: &Plan) -> Result<(), LoadError> {
        let wanted = self.sessions.len();
        for number in 0..wanted {
            driver.net.connect(polls(number))?;
            self.wire.post(&mut driver.net, polls(number), "", b"[]");
        }
        let mut stall = Stall::new(plan.patience, Instant::now());
        driver.turn_until(self, |echo, now| {
            echo.connected == wanted || stall.is_over(echo.connected as u64, now)
        })?;
        match self.connected {
            joined if joined < wanted => Err(LoadError::NotJoined { joined, wanted }),
            _ => Ok(()),
        }
    }

    pub(super) fn poll_all(&mut self, net: &mut Net) {
        self.phase = Phase::Polling;
        for (number, session) in self.sessions.iter().enumerate() {
            self.wire.get(net, polls(number), &session.opened.token);
        }
    }

    pub(super) fn connect_posts(&mut self, net: &mut Net) -> Result<(), LoadError> {
        self.phase = Phase::Posting;
        for number in 0..self.sessions.len() {
            net.connect(self.posts(number))?;
        }
        Ok(())
    }

    /// The connection on which a session posts.
    fn posts(&self, session: usize) -> ConnId {
        ConnId(self.sessions.len() + session)
    }

    /// Posts the next echo, when the last one is dealt with.
    fn go_on(&mut self, net: &mut Net, number: usize, now: Instant) {
        let conn = self.posts(number);
        let session = &mut self.sessions[number];
        if session.is_posting || session.sent_at.is_some() || !self.tally.spend() {
            return;
        }
        session.last_seq += 1;
        session.sent_at = Some(now);
        session.is_posting = true;
        self.tally.expected += 1;
        let (seq, topic) = (session.last_seq, &session.opened.topic);
        let push = Push { reference: JOIN_REF + seq, topic, event: "echo", from: number, seq };
        self.wire.post(net, conn, &session.opened.token, self.outgoing.line(&push));
    }

    /// Acts on an answer; `None` when it is none that may come now.
    fn step(&mut self, net: &mut Net, conn: ConnId, answer: &Answer, now: Instant) -> Option<()> {
        let is_post = conn.0 >= self.sessions.len();
        let number = conn.0 % self.sessions.len();
        let session = &mut self.sessions[number];
        match (self.phase, is_post, answer.status) {
            (Phase::Connecting, false, 410) => self.connected += 1,
            // The window has elapsed.
            (Phase::Polling | Phase::Posting, false, 204) => {
                self.wire.get(net, conn, &session.opened.token);
            }
            (Phase::Posting, false, 200) => {
                // The next poll comes first, as a client that finds a fault in the messages goes on, too.
                self.wire.get(net, conn, &session.opened.token);
                let sent_at =
                    session.sent_at.take_if(|_| self.wire.is_reply(answer, Some(session.last_seq)))?;
                self.tally.received += 1;
                self.tally.done(sent_at, now);
                self.go_on(net, number, now);
            }
            (Phase::Posting, true, 200) if session.is_posting => {
                session.is_posting = false;
                self.go_on(net, number, now);
            }
            _ => return None,
        }
        Some(())
    }
}

impl Script for Echo {
    fn received(&mut self, net: &mut Net, conn: ConnId, body: &[u8], now: Instant) {
        if Answer::parse(body).and_then(|answer| self.step(net, conn, &answer, now)).is_none() {
            self.tally.unexpected += 1;
        }
    }

    fn closed(&mut self, _conn: ConnId) {
        self.tally.disconnected += 1;
    }

    fn tick(&mut self, net: &mut Net, now: Instant) {
        if self.phase == Phase::Posting && self.tally.budget > 0 {
            for number in 0..self.sessions.len() {
                self.go_on(net, number, now);
            }
        }
    }
}

impl Measured for Echo {
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
