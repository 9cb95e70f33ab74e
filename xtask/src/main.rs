//! Project commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask check`, `cargo xtask bench`.
//!
//! Each prints its steps and what each took. Programs started here end with the command, also when it is
//! interrupted, and every step has a limit of time.

mod bench;
mod check;
mod command;
mod counts;
mod demo;
mod deny;
mod npm;
mod prerequisites;
mod project;
mod results;
mod server;
mod suites;
mod summary;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Commands of this project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures the servers and writes the table of bench/README.md, or checks instruction counts
    Bench(bench::Options),
    /// Checks what needs no running: format, lints, documentation, licences, the purity of the core
    Check,
    /// Starts the chat example and prints its address
    Demo(demo::Options),
    /// Runs every test: Rust, the npm phoenix client in Node, and Chromium, over all adapters
    Test(test::Options),
}

fn main() -> ExitCode {
    command::end_children_on_signal();
    let result = match Cli::parse().command {
        Task::Bench(options) => bench::run(&options),
        Task::Check => Ok(check::run()),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
