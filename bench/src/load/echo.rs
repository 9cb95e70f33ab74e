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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_in_order_are_clean() {
        let tally = after_replies(&[(2, 1, "ok"), (3, 2, "ok"), (4, 3, "ok")]);
        assert_eq!((tally.received, tally.lost(), tally.misordered, tally.unexpected), (3, 0, 0, 0));
    }

    #[test]
    fn a_reply_that_overtakes_is_misordered() {
        let tally = after_replies(&[(3, 2, "ok"), (2, 1, "ok"), (4, 3, "ok")]);
        assert_eq!((tally.received, tally.lost(), tally.misordered, tally.unexpected), (3, 0, 1, 0));
    }

    #[test]
    fn a_reply_that_does_not_come_is_lost() {
        let tally = after_replies(&[(2, 1, "ok"), (3, 2, "ok")]);
        assert_eq!((tally.received, tally.lost()), (2, 1));
    }

    #[test]
    fn wrong_refs_duplicates_and_refusals_are_unexpected() {
        let tally = after_replies(&[(3, 1, "ok"), (2, 1, "error"), (2, 1, "ok"), (2, 1, "ok")]);
        assert_eq!((tally.received, tally.lost(), tally.unexpected), (1, 2, 3));
    }

    #[test]
    fn a_changed_text_is_unexpected() {
        let mut echo = three_in_flight();
        receive(&mut echo, r#"["1","2","t","phx_reply",{"status":"ok","response":{"seq":1,"text":"y"}}]"#);
        assert_eq!((echo.tally.received, echo.tally.unexpected), (1, 1));
    }

    fn after_replies(replies: &[(u64, u64, &str)]) -> Tally {
        let mut echo = three_in_flight();
        for (reference, seq, status) in replies {
            let response = format!(r#"{{"from":0,"seq":{seq},"text":{}}}"#, echo.outgoing.text());
            let payload = format!(r#"{{"status":"{status}","response":{response}}}"#);
            receive(&mut echo, &format!(r#"["1","{reference}","t","phx_reply",{payload}]"#));
        }
        echo.tally
    }

    /// One client that has sent the numbers 1 to 3 and may send no more.
    fn three_in_flight() -> Echo {
        let mut client = Client::new("t".to_owned());
        client.flights = (1..=3).map(|seq| (seq, Instant::now())).collect();
        let mut tally = Tally::new();
        tally.expected = 3;
        Echo {
            clients: vec![client],
            in_flight: 3,
            is_started: true,
            outgoing: Outgoing::new(64, false),
            seq: Field::new("\"seq\""),
            tally,
        }
    }

    fn receive(echo: &mut Echo, text: &str) {
        let mut net = Net::new(Protocol::WebSocket, ([127, 0, 0, 1], 1).into(), "/").unwrap();
        echo.received(&mut net, ConnId(0), text.as_bytes(), Instant::now());
    }
}
