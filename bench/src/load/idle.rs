//! Idle memory: connections joined to one topic, then to several.

use std::ops::Range;
use std::time::Instant;

use super::join::{Start, join_all};
use super::net::{ConnId, Driver, Net, Protocol, Script};
use super::outgoing::Outgoing;
use super::{LoadError, Outcome, Pid, Plan, Target};

pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let net = Net::new(Protocol::WebSocket, target.address, &target.path)?;
    let mut driver = Driver::new(net, plan.busy);
    let mut outgoing = Outgoing::new(plan.size, plan.nested);
    let topics = |numbers: Range<usize>| -> Vec<Vec<String>> {
        let of_client = |client| numbers.clone().map(|number| format!("bench:{client}-{number}")).collect();
        (0..plan.clients).map(of_client).collect()
    };
    let mut watch = Watch { received: 0, disconnected: 0 };
    let resident = || server.map(Pid::resident_kib).transpose();

    let empty = resident()?;
    join_all(&mut driver, &mut outgoing, plan, Start::Connect, &topics(0..1))?;
    watch.settle(&mut driver, plan)?;
    let joined_to_one = resident()?;
    join_all(&mut driver, &mut outgoing, plan, Start::Connected, &topics(1..plan.topics))?;
    watch.settle(&mut driver, plan)?;
    let joined_to_all = resident()?;

    let per = |from: Option<u64>, to: Option<u64>, count: usize| {
        from.zip(to).map(|(from, to)| (to as f64 - from as f64) / count as f64)
    };
    let mut outcome = Outcome::new(plan.mode);
    outcome.messages = (plan.clients * plan.topics) as u64;
    outcome.kib_per_connection = per(empty, joined_to_one, plan.clients);
    outcome.kib_per_topic = per(joined_to_one, joined_to_all, plan.clients * (plan.topics - 1));
    outcome.unexpected = watch.received + driver.net.breaches;
    outcome.disconnected = watch.disconnected;
    Ok(outcome)
}

/// Nothing should happen while nothing is asked for.
struct Watch {
    received: u64,
    disconnected: u64,
}

impl Watch {
    fn settle(&mut self, driver: &mut Driver, plan: &Plan) -> Result<(), LoadError> {
        let start = Instant::now();
        Ok(driver.turn_until(self, |_, now| now - start >= plan.settle)?)
    }
}

impl Script for Watch {
    fn received(&mut self, _net: &mut Net, _conn: ConnId, _message: &[u8], _now: Instant) {
        self.received += 1;
    }

    fn closed(&mut self, _conn: ConnId) {
        self.disconnected += 1;
    }
}
