//! Warm-up, window and drain, the same for every mode that sends.

use std::io;
use std::time::Instant;

use super::net::{Driver, Script};
use super::outcome::Outcome;
use super::plan::{Bound, Plan};
use super::process::{Pid, machine_seconds};
use super::tally::{Stall, Tally};

/// A script that keeps books and sends while its budget lasts.
pub(crate) trait Measured: Script {
    fn tally(&mut self) -> &mut Tally;
}

/// Runs the script to the plan's bound, then waits for what is still outstanding.
pub(crate) fn measure<S: Measured>(
    driver: &mut Driver,
    script: &mut S,
    plan: &Plan,
    server: Option<Pid>,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::new(plan.mode);
    match plan.bound {
        Bound::Messages(count) => {
            script.tally().budget = count;
            let start = Reading::take(server)?;
            drain(driver, script, plan)?;
            start.fill(&mut outcome, script.tally(), &Reading::take(server)?);
        }
        Bound::Time { warmup, window } => {
            script.tally().budget = u64::MAX;
            let begin = Instant::now();
            driver.turn_until(script, |_, now| now - begin >= warmup)?;
            script.tally().open_window();
            let start = Reading::take(server)?;
            driver.turn_until(script, |_, now| now - start.at >= window)?;
            start.fill(&mut outcome, script.tally(), &Reading::take(server)?);
            script.tally().budget = 0;
            drain(driver, script, plan)?;
        }
    }
    let tally = script.tally();
    outcome.lost = tally.lost();
    outcome.misordered = tally.misordered;
    outcome.unexpected = tally.unexpected + driver.net.breaches;
    outcome.disconnected = tally.disconnected;
    Ok(outcome)
}

/// Goes on until the budget is spent and everything is answered, or nothing comes any more.
fn drain<S: Measured>(driver: &mut Driver, script: &mut S, plan: &Plan) -> io::Result<()> {
    let mut stall = Stall::new(plan.patience, Instant::now());
    driver.turn_until(script, |script, now| {
        let tally = script.tally();
        (tally.budget == 0 && tally.is_settled()) || stall.is_over(tally.received, now)
    })
}

/// The clocks at one instant.
struct Reading {
    at: Instant,
    cpu: Option<Cpu>,
}

/// CPU-seconds so far.
struct Cpu {
    server: f64,
    load: f64,
    machine: f64,
}

impl Reading {
    fn take(server: Option<Pid>) -> io::Result<Self> {
        Ok(Self { cpu: server.map(Cpu::read).transpose()?, at: Instant::now() })
    }

    fn fill(&self, outcome: &mut Outcome, tally: &Tally, end: &Self) {
        let messages = tally.done as f64;
        let seconds = (end.at - self.at).as_secs_f64();
        outcome.messages = tally.done;
        outcome.rate = Some(messages / seconds);
        outcome.latency = tally.latency.percentiles();
        let Some((start, end)) = self.cpu.as_ref().zip(end.cpu.as_ref()) else { return };
        let server = end.server - start.server;
        if tally.done > 0 {
            outcome.cpu_seconds_per_million = Some(server * 1e6 / messages);
        }
        let foreign = end.machine - start.machine - server - (end.load - start.load);
        outcome.foreign_cpu = Some(foreign.max(0.0) / seconds);
    }
}

impl Cpu {
    fn read(server: Pid) -> io::Result<Self> {
        Ok(Self {
            server: server.cpu_seconds()?,
            load: Pid(std::process::id()).cpu_seconds()?,
            machine: machine_seconds()?,
        })
    }
}
