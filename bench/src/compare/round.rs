//! The measurements themselves.

use std::process::Stdio;

use super::server::{Contender, LIMIT, Server, pinned};
use super::{CompareError, Comparison};
use crate::load::{Mode, Outcome};

/// One mode measured once with every server, the limit first.
pub(super) struct Round {
    pub(super) mode: Mode,
    pub(super) limit: Outcome,
    pub(super) contenders: Vec<(String, Outcome)>,
}

/// Measures every mode in every round. Each measurement has a fresh server, and rounds alternate in direction,
/// so that whatever drifts on the machine meets the limit and the others alike.
pub(super) fn measure(comparison: &Comparison) -> Result<Vec<Round>, CompareError> {
    let program = comparison.program.to_string_lossy().into_owned();
    let limit = Contender {
        name: LIMIT.to_owned(),
        command: vec![program, "limit".to_owned(), "--port".to_owned(), "{port}".to_owned()],
    };
    let mut rounds = Vec::new();
    for mode in &comparison.modes {
        for number in 0..comparison.rounds {
            eprintln!("{} {}/{}", mode.name(), number + 1, comparison.rounds);
            let measured = if number % 2 == 0 {
                let limit = once(comparison, &limit, *mode)?;
                (limit, all(comparison, comparison.contenders.iter(), *mode)?)
            } else {
                let mut contenders = all(comparison, comparison.contenders.iter().rev(), *mode)?;
                contenders.reverse();
                (once(comparison, &limit, *mode)?, contenders)
            };
            rounds.push(Round { mode: *mode, limit: measured.0, contenders: measured.1 });
        }
    }
    Ok(rounds)
}

fn all<'a>(
    comparison: &Comparison,
    contenders: impl Iterator<Item = &'a Contender>,
    mode: Mode,
) -> Result<Vec<(String, Outcome)>, CompareError> {
    contenders.map(|contender| Ok((contender.name.clone(), once(comparison, contender, mode)?))).collect()
}

fn once(comparison: &Comparison, contender: &Contender, mode: Mode) -> Result<Outcome, CompareError> {
    let name = &contender.name;
    let server = Server::start(contender, &comparison.server_core)
        .map_err(|source| CompareError::Start { name: name.clone(), source })?;
    let load = pinned(&comparison.load_core)
        .arg(&comparison.program)
        .args(["load", mode.name(), "--busy", "--path", &comparison.path])
        .args(["--url", &format!("ws://{}", server.address)])
        .args(["--server-pid", &server.pid().0.to_string()])
        .args(["--seconds", &comparison.window.as_secs_f64().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(CompareError::Load)?;
    if !load.status.success() {
        return Err(CompareError::LoadFailed { mode, name: name.clone() });
    }
    serde_json::from_slice(&load.stdout).map_err(CompareError::Outcome)
}
