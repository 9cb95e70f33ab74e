//! Connect and join: connections are opened, joined and closed, a fixed number of them being opened at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::measure::{Measured, measure};
use super::net::{ConnId, Driver, Net, Protocol, Script};
use super::outgoing::{JOIN_REF, Outgoing, Refs};
use super::tally::Tally;
use super::{LoadError, Outcome, Pid, Plan, Target};
use crate::wire::message;

/// How long the server may take to end a connection after the client's close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let net = Net::new(Protocol::WebSocket, target.address, &target.path)?;
    let mut driver = Driver::new(net, plan.busy);
    let mut connect = Connect {
        parallel: plan.parallel,
        most: plan.clients,
        opening: 0,
        states: Vec::new(),
        free: Vec::new(),
        closing: VecDeque::new(),
        outgoing: Outgoing::new(plan.size, plan.nested),
        tally: Tally::new(),
    };
    Ok(measure(&mut driver, &mut connect, plan, server)?)
}

struct Connect {
    parallel: usize,
    /// Connections at the same time, those that wait for their end included.
    most: usize,
    opening: usize,
    states: Vec<State>,
    free: Vec<ConnId>,
    /// Connections to be cut if they are still closing then, earliest first.
    closing: VecDeque<(Instant, ConnId)>,
    outgoing: Outgoing,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Opening,
    Closing { until: Instant },
}

impl Connect {
    fn fill(&mut self, net: &mut Net) {
        while self.opening < self.parallel
            && self.states.len() - self.free.len() < self.most
            && self.tally.spend()
        {
            let conn = self.free.pop().unwrap_or_else(|| {
                self.states.push(State::Free);
                ConnId(self.states.len() - 1)
            });
            self.tally.expected += 1;
            if net.connect(conn).is_ok() {
                self.opening += 1;
                self.states[conn.0] = State::Opening;
            } else {
                // It stays expected, and so is lost.
                self.free.push(conn);
                return;
            }
        }
    }

    fn cut_overdue(&mut self, net: &mut Net, now: Instant) {
        while let Some((until, conn)) = self.closing.front().copied().filter(|(until, _)| *until <= now) {
            self.closing.pop_front();
            if self.states[conn.0] == (State::Closing { until }) {
                net.cut(conn);
                self.tally.unexpected += 1;
                self.release(conn);
            }
        }
    }

    fn release(&mut self, conn: ConnId) {
        self.states[conn.0] = State::Free;
        self.free.push(conn);
    }
}

impl Script for Connect {
    fn opened(&mut self, net: &mut Net, conn: ConnId) {
        let topic = format!("bench:{}", conn.0);
        self.outgoing.control(net, conn, Refs { join: JOIN_REF, message: JOIN_REF }, &topic, "phx_join");
    }

    fn received(&mut self, net: &mut Net, conn: ConnId, text: &[u8], now: Instant) {
        let is_joined = self.states[conn.0] == State::Opening
            && message::parse(text).is_some_and(|message| {
                message.event == b"phx_reply"
                    && message::number(message.reference) == Some(JOIN_REF)
                    && message::is_ok(message.payload)
            });
        if !is_joined {
            self.tally.unexpected += 1;
            return;
        }
        self.tally.received += 1;
        self.tally.done(net.started(conn), now);
        self.opening -= 1;
        let until = now + CLOSE_WITHIN;
        self.states[conn.0] = State::Closing { until };
        self.closing.push_back((until, conn));
        net.send_close(conn);
    }

    fn closed(&mut self, conn: ConnId) {
        if self.states[conn.0] == State::Opening {
            self.opening -= 1;
            self.tally.disconnected += 1;
        }
        self.release(conn);
    }

    fn tick(&mut self, net: &mut Net, now: Instant) {
        self.cut_overdue(net, now);
        self.fill(net);
    }
}

impl Measured for Connect {
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
