//! `cargo xtask check`: everything that can be said about the code without running it.

use std::{process::ExitCode, time::Duration};

use crate::{
    command::{self, Failure, minutes},
    deny, project,
    summary::Summary,
};

const QUICK: Duration = minutes(2);
const COMPILE: Duration = minutes(20);

/// What the core never depends on: the network, the clock, randomness, threads, an async runtime.
const IMPURE: &[&str] = &[
    "async-io",
    "async-std",
    "chrono",
    "fastrand",
    "futures-timer",
    "getrandom",
    "hyper",
    "instant",
    "jiff",
    "libc",
    "mio",
    "nix",
    "rand",
    "rand_core",
    "rayon",
    "rustix",
    "smol",
    "socket2",
    "time",
    "tokio",
    "web-time",
    "windows-sys",
];

pub(crate) fn run() -> ExitCode {
    let mut summary = Summary::default();
    summary.step("format", || command::run(&mut project::cargo(&["fmt", "--all", "--check"]), QUICK));
    summary.step("lints", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        command::run(&mut project::cargo(&arguments), COMPILE)
    });
    summary.step("documentation", || {
        let mut command = project::cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
        command::run(command.env("RUSTDOCFLAGS", "-D warnings"), COMPILE)
    });
    summary.step("licences, bans and sources of the dependencies (deny.toml)", deny::check);
    summary.step("the core does no IO", core_is_pure);
    if project::root().join("fuzz/Cargo.toml").is_file() {
        summary.step("fuzz targets compile", || {
            let arguments =
                ["check", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "fuzz/target", "--locked"];
            command::run(&mut project::cargo(&arguments), COMPILE)
        });
    }
    summary.finish()
}

fn core_is_pure() -> Result<(), Failure> {
    let arguments = [
        "tree",
        "--package",
        "phoenix-proto",
        "--edges",
        "normal",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
    ];
    let tree = command::output(&mut project::cargo(&arguments), QUICK)?;
    let found = impure_packages(&tree);
    for name in &found {
        eprintln!(
            "phoenix-proto depends on {name}: see `cargo tree --package phoenix-proto --invert {name}`"
        );
    }
    if found.is_empty() { Ok(()) } else { Err(Failure::Violations(found.len())) }
}

/// The forbidden ones among the packages of a tree, one `name version` per line.
fn impure_packages(tree: &str) -> Vec<&str> {
    let mut found: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| IMPURE.binary_search(name).is_ok())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(IMPURE.is_sorted());
    }

    #[test]
    fn a_forbidden_package_is_found_wherever_it_stands() {
        let tree =
            "phoenix-proto v0.1.0 (/src)\nbytes v1.11.0\ntokio v1.50.0\nrand v0.9.0\ntokio v1.50.0 (*)\n";
        assert_eq!(impure_packages(tree), ["rand", "tokio"]);
    }

    #[test]
    fn names_that_only_begin_alike_are_fine() {
        assert_eq!(impure_packages("timeless v1.0.0\nrandomize v3.0.0\n\n"), <[&str; 0]>::default());
    }
}
