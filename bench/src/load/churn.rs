//! Churn: every client leaves its topic and joins it again, one step at a time.

use std::time::Instant;

use super::join::{Start, join_all};
use super::measure::{Measured, measure};
use super::net::{ConnId, Driver, Net, Protocol, Script};
use super::outgoing::{JOIN_REF, Outgoing, Refs};
use super::tally::Tally;
use super::{LoadError, Outcome, Pid, Plan, Target};
use crate::wire::message::{self, Message};

pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let net = Net::new(Protocol::WebSocket, target.address, &target.path)?;
    let mut driver = Driver::new(net, plan.busy);
    let mut outgoing = Outgoing::new(plan.size, plan.nested);
    let topics: Vec<_> = (0..plan.clients).map(|client| vec![format!("bench:{client}")]).collect();
    join_all(&mut driver, &mut outgoing, plan, Start::Connect, &topics)?;
    let now = Instant::now();
    let clients = topics.concat().into_iter().map(|topic| Client::new(topic, now)).collect();
    let mut churn = Churn { clients, is_started: false, outgoing, tally: Tally::new() };
    Ok(measure(&mut driver, &mut churn, plan, server)?)
}

struct Churn {
    clients: Vec<Client>,
    is_started: bool,
    outgoing: Outgoing,
    tally: Tally,
}

struct Client {
    topic: String,
    step: Step,
    join_ref: u64,
    /// Of the push that waits for its reply.
    reference: u64,
    left_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    /// Waits for the reply to the leave.
    Leaving,
    /// Waits for the `phx_close` that follows it.
    Closing,
    /// Waits for the reply to the join.
    Joining,
}

impl Client {
    fn new(topic: String, now: Instant) -> Self {
        Self { topic, step: Step::Idle, join_ref: JOIN_REF, reference: JOIN_REF, left_at: now }
    }
}

impl Churn {
    fn leave(&mut self, net: &mut Net, conn: ConnId, now: Instant) {
        let client = &mut self.clients[conn.0];
        if !self.tally.spend() {
            client.step = Step::Idle;
            return;
        }
        client.left_at = now;
        client.reference += 1;
        client.step = Step::Leaving;
        // Two replies and a phx_close.
        self.tally.expected += 3;
        let refs = Refs { join: client.join_ref, message: client.reference };
        self.outgoing.control(net, conn, refs, &client.topic, "phx_leave");
    }

    fn join(&mut self, net: &mut Net, conn: ConnId) {
        let client = &mut self.clients[conn.0];
        client.reference += 1;
        client.join_ref = client.reference;
        client.step = Step::Joining;
        let refs = Refs { join: client.join_ref, message: client.reference };
        self.outgoing.control(net, conn, refs, &client.topic, "phx_join");
    }

    fn step(&mut self, net: &mut Net, conn: ConnId, message: &Message<'_>, now: Instant) -> Option<()> {
        let client = &self.clients[conn.0];
        let step = client.step;
        let awaited = match step {
            Step::Idle => return None,
            Step::Leaving | Step::Joining => {
                message.event == b"phx_reply"
                    && message::is_ok(message.payload)
                    && message::number(message.reference) == Some(client.reference)
            }
            Step::Closing => {
                message.event == b"phx_close" && message::number(message.join_ref) == Some(client.join_ref)
            }
        };
        if !awaited {
            return None;
        }
        self.tally.received += 1;
        match step {
            Step::Closing => self.join(net, conn),
            Step::Joining => {
                self.tally.done(client.left_at, now);
                self.leave(net, conn, now);
            }
            Step::Leaving | Step::Idle => self.clients[conn.0].step = Step::Closing,
        }
        Some(())
    }
}

impl Script for Churn {
    fn received(&mut self, net: &mut Net, conn: ConnId, text: &[u8], now: Instant) {
        if message::parse(text).and_then(|message| self.step(net, conn, &message, now)).is_none() {
            self.tally.unexpected += 1;
        }
    }

    fn closed(&mut self, _conn: ConnId) {
        self.tally.disconnected += 1;
    }

    fn tick(&mut self, net: &mut Net, now: Instant) {
        if !std::mem::replace(&mut self.is_started, true) {
            for conn in 0..self.clients.len() {
                self.leave(net, ConnId(conn), now);
            }
        }
    }
}

impl Measured for Churn {
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
