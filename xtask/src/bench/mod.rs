//! `cargo xtask bench`: the table of bench/README.md, or the guard of the instruction counts.

mod instructions;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{
    command::{self, Failure, minutes},
    project,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Compare the instruction counts of the hot paths with those recorded, instead of measuring time
    #[arg(long, conflicts_with_all = ["record", "modes", "rounds", "seconds"])]
    check: bool,
    /// Record the instruction counts of the hot paths
    #[arg(long, conflicts_with_all = ["modes", "rounds", "seconds"])]
    record: bool,
    /// Measure the peers of bench/peers too
    #[arg(long, conflicts_with_all = ["check", "record"])]
    peers: bool,
    /// The modes, divided by commas; all unless given, with peers those that they offer
    #[arg(long)]
    modes: Option<String>,
    /// How often each mode is measured with each server
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each measurement takes, after a second of warm-up
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// All of them.
const MODES: &str =
    "echo,echo16,echo4k,fanout100,fanout1,fanout10k,fanout8,rooms,connect,churn,idle,longpoll";

/// What every peer offers: the end of a channel, for which `churn` waits, one of them does not tell.
const PEER_MODES: &str = "echo,echo16,echo4k,fanout1,fanout8,rooms,connect,idle";

/// The programs of bench/peers.
const PEERS: [&str; 4] = ["raw-warp", "raw-axum", "raw-actix", "actix-phoenix-channel"];

const ADAPTERS: [&str; 3] = ["warp", "axum", "actix"];

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    // First, as it takes a while to build what would then not be run.
    let valgrind = if options.check || options.record { instructions::valgrind()? } else { None };
    if (options.check || options.record) && valgrind.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    command::run(
        &mut project::cargo(&["build", "--release", "--package", "phoenix-bench", "--locked"]),
        minutes(30),
    )?;
    let program = project::release_program("phoenix-bench")?;
    match valgrind {
        Some(valgrind) if options.check => instructions::check(&valgrind, &program),
        Some(valgrind) => instructions::record(&valgrind, &program),
        None => compare(&program, options),
    }
}

fn compare(program: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let peers = options.peers.then(build_peers).transpose()?;
    let mut command = Command::new(program);
    command.current_dir(project::root()).arg("compare");
    for adapter in ADAPTERS {
        let serve = format!("{} serve --adapter {adapter} --port {{port}}", program.display());
        command.args(["--server", &format!("{adapter}={serve}")]);
    }
    for peer in peers.iter().flat_map(|folder| PEERS.map(|name| (name, folder.join(name)))) {
        command.args(["--server", &format!("{}={} {{port}}", peer.0, peer.1.display())]);
    }
    if peers.is_some() {
        command.args(["--out", "bench/peers/README.md"]);
    }
    let modes = options.modes.as_deref().unwrap_or(if options.peers { PEER_MODES } else { MODES });
    command.args(["--modes", modes, "--rounds", &options.rounds.to_string()]);
    command.args(["--seconds", &options.seconds.to_string()]);
    command::run(&mut command, minutes(60))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the peers, which are no part of the workspace; gives the folder of their programs.
fn build_peers() -> Result<PathBuf, Failure> {
    let arguments = ["build", "--release", "--manifest-path", "bench/peers/Cargo.toml", "--locked"];
    let target = project::root().join("bench/peers/target");
    let mut command = project::cargo(&arguments);
    command::run(command.arg("--target-dir").arg(&target), minutes(30))?;
    Ok(target.join("release"))
}
