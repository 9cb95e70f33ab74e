//! Long polling as phoenix.js does it: every session has one poll open, and posts on another connection.

mod echo;
mod opening;
mod wire;

use std::time::Instant;

use super::measure::measure;
use super::net::{ConnId, Driver, Net, Protocol};
use super::{LoadError, Outcome, Pid, Plan, Target};
use echo::Echo;
use opening::Opening;
use wire::Wire;

/// Memory is read after each step: sessions whose connections are closed, connections that have had one answer and
/// have no session, and then one open poll of each session on each connection.
pub(super) fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    let mut driver =
        Driver::new(Net::new(Protocol::Http, target.address, &target.longpoll_path())?, plan.busy);
    let wire = Wire::new(target);
    let resident = || server.map(Pid::resident_kib).transpose();

    let empty = resident()?;
    let mut opening = Opening::new(wire, plan);
    opening.run(&mut driver, plan)?;
    let (wire, sessions, faults) = opening.finish(&mut driver.net);
    let mut echo = Echo::new(wire, sessions, faults, plan);
    settle(&mut driver, &mut echo, plan)?;
    let opened = resident()?;
    echo.connect(&mut driver, plan)?;
    settle(&mut driver, &mut echo, plan)?;
    let connected = resident()?;
    echo.poll_all(&mut driver.net);
    settle(&mut driver, &mut echo, plan)?;
    let polling = resident()?;
    echo.connect_posts(&mut driver.net)?;
    let mut outcome = measure(&mut driver, &mut echo, plan, server)?;

    let per_client = |from: Option<u64>, to: Option<u64>| {
        from.zip(to).map(|(from, to)| (to as f64 - from as f64) / plan.clients as f64)
    };
    outcome.kib_per_connection = per_client(empty, polling);
    outcome.kib_per_session = per_client(empty, opened);
    outcome.kib_per_http = per_client(opened, connected);
    Ok(outcome)
}

fn settle(driver: &mut Driver, echo: &mut Echo, plan: &Plan) -> Result<(), LoadError> {
    let start = Instant::now();
    Ok(driver.turn_until(echo, |_, now| now - start >= plan.settle)?)
}

/// The connection on which a session polls.
fn polls(session: usize) -> ConnId {
    ConnId(session)
}
