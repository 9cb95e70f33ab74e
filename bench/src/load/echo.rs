//! Echo: every client keeps a fixed number of pushes in flight and matches each reply.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

use super::join::{Start, join_all};
use super::measure::{Measured, measure};
use super::net::{ConnId, Driver, Net, Protocol, Script};
use super::outgoing::{JOIN_REF, Outgoing, Push};
use super::tally::Tally;
use super::{LoadError, Outcome, Pid, Plan, Target};
use crate::wire::message::{self, Field, Message};

/// One reply in so many is compared with what was sent, all of it.
const VERIFY_EVERY: u64 = 1024;

pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let net = Net::new(Protocol::WebSocket, target.address, &target.path)?;
    let mut driver = Driver::new(net, plan.busy);
    let mut outgoing = Outgoing::new(plan.size, plan.nested);
    let topics: Vec<_> = (0..plan.clients).map(|client| vec![format!("bench:{client}")]).collect();
    join_all(&mut driver, &mut outgoing, plan, Start::Connect, &topics)?;
    let mut echo = Echo {
        clients: topics.concat().into_iter().map(Client::new).collect(),
        in_flight: plan.in_flight,
        is_started: false,
        outgoing,
        seq: Field::new("\"seq\""),
        tally: Tally::new(),
    };
    Ok(measure(&mut driver, &mut echo, plan, server)?)
}

struct Echo {
    clients: Vec<Client>,
    in_flight: usize,
    is_started: bool,
    outgoing: Outgoing,
    seq: Field,
    tally: Tally,
}

struct Client {
    topic: String,
    last_seq: u64,
    /// What is in flight, oldest first.
    flights: VecDeque<(u64, Instant)>,
}

impl Client {
    fn new(topic: String) -> Self {
        Self { topic, last_seq: 0, flights: VecDeque::new() }
    }
}

impl Echo {
    fn fill(&mut self, net: &mut Net, conn: ConnId, now: Instant) {
        let client = &mut self.clients[conn.0];
        while client.flights.len() < self.in_flight && self.tally.spend() {
            client.last_seq += 1;
            let seq = client.last_seq;
            client.flights.push_back((seq, now));
            self.tally.expected += 1;
            let push =
                Push { reference: JOIN_REF + seq, topic: &client.topic, event: "echo", from: conn.0, seq };
            self.outgoing.push(net, conn, &push);
        }
    }

    /// The time of the push this replies to.
    fn settle(&mut self, conn: ConnId, message: &Message<'_>) -> Option<Instant> {
        let seq = self.seq.read(message.payload)?;
        let is_echo = message.event == b"phx_reply" && message::is_ok(message.payload);
        if !is_echo || message::number(message.reference) != Some(JOIN_REF + seq) {
            return None;
        }
        let flights = &mut self.clients[conn.0].flights;
        let at = flights.iter().position(|(flight, _)| *flight == seq)?;
        if at > 0 {
            self.tally.misordered += 1;
        }
        flights.remove(at).map(|(_, sent_at)| sent_at)
    }

    fn verify(&mut self, text: &[u8]) {
        let same = serde_json::from_slice::<Value>(text)
            .is_ok_and(|message| &message[4]["response"]["text"] == self.outgoing.text());
        if !same {
            self.tally.unexpected += 1;
        }
    }
}

impl Script for Echo {
    fn received(&mut self, net: &mut Net, conn: ConnId, text: &[u8], now: Instant) {
        let Some(sent_at) = message::parse(text).and_then(|message| self.settle(conn, &message)) else {
            self.tally.unexpected += 1;
            return;
        };
        self.tally.received += 1;
        self.tally.done(sent_at, now);
        if self.tally.received % VERIFY_EVERY == 1 {
            self.verify(text);
        }
        self.fill(net, conn, now);
    }

    fn closed(&mut self, _conn: ConnId) {
        self.tally.disconnected += 1;
    }

    fn tick(&mut self, net: &mut Net, now: Instant) {
        if !std::mem::replace(&mut self.is_started, true) {
            for conn in 0..self.clients.len() {
                self.fill(net, ConnId(conn), now);
            }
        }
    }
}

impl Measured for Echo {
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
