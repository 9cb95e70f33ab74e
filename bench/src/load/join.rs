//! Opening many connections and joining them to topics, before anything is measured.

use std::time::Instant;

use super::LoadError;
use super::net::{ConnId, Driver, Net, Script};
use super::outgoing::{JOIN_REF, Outgoing, Refs};
use super::plan::Plan;
use super::tally::Stall;
use crate::wire::message;

/// Whether connections are opened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Connect,
    Connected,
}

/// Joins the connections 0, 1, … to `topics[0]`, `topics[1]`, …, a bounded number of them at a time.
pub(crate) fn join_all(
    driver: &mut Driver,
    outgoing: &mut Outgoing,
    plan: &Plan,
    start: Start,
    topics: &[Vec<String>],
) -> Result<(), LoadError> {
    let missing = topics.iter().map(Vec::len).collect();
    let mut joiner = Joiner { topics, outgoing, missing, started: 0, joined: 0, failed: 0 };
    let mut stall = Stall::new(plan.patience, Instant::now());
    loop {
        while joiner.started < topics.len() && joiner.under_way() < plan.parallel {
            let conn = ConnId(joiner.started);
            joiner.started += 1;
            match start {
                Start::Connect => driver.net.connect(conn)?,
                Start::Connected => joiner.opened(&mut driver.net, conn),
            }
        }
        let now = driver.turn(&mut joiner)?;
        if joiner.joined == topics.len() {
            return Ok(());
        }
        if joiner.failed > 0 || stall.is_over(joiner.joined as u64, now) {
            return Err(LoadError::NotJoined { joined: joiner.joined, wanted: topics.len() });
        }
    }
}

struct Joiner<'a> {
    topics: &'a [Vec<String>],
    outgoing: &'a mut Outgoing,
    /// Join replies each connection still waits for.
    missing: Vec<usize>,
    started: usize,
    joined: usize,
    failed: usize,
}

impl Joiner<'_> {
    fn under_way(&self) -> usize {
        self.started - self.joined - self.failed
    }
}

impl Script for Joiner<'_> {
    fn opened(&mut self, net: &mut Net, conn: ConnId) {
        for topic in &self.topics[conn.0] {
            self.outgoing.control(net, conn, Refs { join: JOIN_REF, message: JOIN_REF }, topic, "phx_join");
        }
    }

    fn received(&mut self, _net: &mut Net, conn: ConnId, text: &[u8], _now: Instant) {
        let Some(message) = message::parse(text) else { return };
        if message.event != b"phx_reply" || message::number(message.reference) != Some(JOIN_REF) {
            return;
        }
        if !message::is_ok(message.payload) {
            self.failed += 1;
            return;
        }
        self.missing[conn.0] = self.missing[conn.0].saturating_sub(1);
        if self.missing[conn.0] == 0 {
            self.joined += 1;
        }
    }

    fn closed(&mut self, _conn: ConnId) {
        self.failed += 1;
    }
}
