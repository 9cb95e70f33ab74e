//! Sessions that are opened and joined one after the other on a few connections.

use std::time::Instant;

use super::wire::{Answer, Wire};
use crate::load::net::{ConnId, Driver, Net, Script};
use crate::load::outgoing::JOIN_REF;
use crate::load::tally::{Stall, Tally};
use crate::load::{LoadError, Plan};

/// Few, so that what a server keeps of their memory does not count much.
const CONNECTIONS: usize = 4;

/// A session as the echoes need it.
pub(super) struct Opened {
    pub(super) topic: String,
    pub(super) token: String,
}

pub(super) struct Opening {
    wire: Wire,
    wanted: usize,
    /// What each connection does.
    visits: Vec<Visit>,
    started: usize,
    joined: Vec<Opened>,
    faults: Tally,
}

struct Visit {
    session: Opened,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Open,
    Join,
    Reply,
    Done,
}

impl Opening {
    pub(super) fn new(wire: Wire, plan: &Plan) -> Self {
        Self {
            wire,
            wanted: plan.clients,
            visits: Vec::new(),
            started: 0,
            joined: Vec::with_capacity(plan.clients),
            faults: Tally::new(),
        }
    }

    pub(super) fn run(&mut self, driver: &mut Driver, plan: &Plan) -> Result<(), LoadError> {
        for number in 0..CONNECTIONS.min(self.wanted) {
            driver.net.connect(ConnId(number))?;
            self.visits.push(Visit { session: Opened::new(0), step: Step::Done });
            self.begin(&mut driver.net, ConnId(number));
        }
        let wanted = self.wanted;
        let mut stall = Stall::new(plan.patience, Instant::now());
        driver.turn_until(self, |opening, now| {
            opening.joined.len() == wanted || stall.is_over(opening.joined.len() as u64, now)
        })?;
        match self.joined.len() {
            joined if joined < wanted => Err(LoadError::NotJoined { joined, wanted }),
            _ => Ok(()),
        }
    }

    /// Ends the connections, not the sessions.
    pub(super) fn finish(self, net: &mut Net) -> (Wire, Vec<Opened>, Tally) {
        for number in 0..self.visits.len() {
            net.cut(ConnId(number));
        }
        (self.wire, self.joined, self.faults)
    }

    fn begin(&mut self, net: &mut Net, conn: ConnId) {
        if self.started < self.wanted {
            self.visits[conn.0] = Visit { session: Opened::new(self.started), step: Step::Open };
            self.started += 1;
            self.wire.get(net, conn, "");
        }
    }

    /// Acts on an answer; `None` when it is none that may come now.
    fn step(&mut self, net: &mut Net, conn: ConnId, answer: Answer) -> Option<()> {
        let Visit { session, step } = &mut self.visits[conn.0];
        match (*step, answer.status) {
            (Step::Open, 410) => {
                session.token = answer.token?;
                *step = Step::Join;
                let join = format!(r#"["{JOIN_REF}","{JOIN_REF}","{}","phx_join",{{}}]"#, session.topic);
                self.wire.post(net, conn, &session.token, join.as_bytes());
            }
            (Step::Join, 200) => {
                *step = Step::Reply;
                self.wire.get(net, conn, &session.token);
            }
            (Step::Reply, 204) => self.wire.get(net, conn, &session.token),
            (Step::Reply, 200) if self.wire.is_reply(&answer, None) => {
                *step = Step::Done;
                self.joined.push(std::mem::replace(session, Opened::new(0)));
                self.begin(net, conn);
            }
            _ => return None,
        }
        Some(())
    }
}

impl Opened {
    fn new(number: usize) -> Self {
        Self { topic: format!("bench:{number}"), token: String::new() }
    }
}

impl Script for Opening {
    fn received(&mut self, net: &mut Net, conn: ConnId, body: &[u8], _now: Instant) {
        if Answer::parse(body).and_then(|answer| self.step(net, conn, answer)).is_none() {
            self.faults.unexpected += 1;
        }
    }

    fn closed(&mut self, _conn: ConnId) {
        self.faults.disconnected += 1;
    }
}
