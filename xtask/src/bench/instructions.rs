//! Instruction counts of the hot paths under callgrind: the same on a busy machine as on an idle one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde::{Deserialize, Serialize};

use crate::{
    command::{self, Failure, minutes},
    prerequisites, project,
};

/// What is in bench/instructions.toml.
#[derive(Serialize, Deserialize)]
struct Recorded {
    /// The compiler, which has its part in every count.
    rustc: String,
    /// How far a count may be from the one recorded, as a fraction of it.
    tolerance: f64,
    /// Instructions of one operation of each path of `phoenix-bench hot`.
    instructions: BTreeMap<String, u64>,
}

const FILE: &str = "bench/instructions.toml";

const TOLERANCE: f64 = 0.03;

/// The paths, and how often each is repeated.
const PATHS: [(&str, u64); 12] = [
    ("decode", 200),
    ("decode4k", 50),
    ("encode", 200),
    ("echo", 200),
    ("echo16", 50),
    ("echo4k", 50),
    ("inbox16", 50),
    ("broadcast100", 20),
    ("connect", 50),
    ("rejoin", 100),
    ("longpoll", 200),
    ("presence", 50),
];

/// valgrind, without which nothing can be counted: told where it is optional, a failure where it is not.
pub(super) fn valgrind() -> Result<Option<PathBuf>, Failure> {
    match prerequisites::find("valgrind") {
        None if project::is_ci() => Err(Failure::Missing("valgrind")),
        None => {
            println!("valgrind is missing: the instruction counts are NOT checked");
            Ok(None)
        }
        found => Ok(found),
    }
}

/// Counts and compares.
pub(super) fn check(valgrind: &Path, program: &Path) -> Result<ExitCode, Failure> {
    let text = fs::read_to_string(project::root().join(FILE))
        .map_err(|cause| Failure::Read { path: FILE.to_owned(), cause })?;
    let recorded: Recorded =
        toml::from_str(&text).map_err(|cause| Failure::Policy { path: FILE.to_owned(), cause })?;
    let rustc = rustc()?;
    if rustc != recorded.rustc {
        println!("recorded with {}, counted with {rustc}", recorded.rustc);
    }
    let mut violations = 0;
    println!("{:<14}{:>12}{:>12}{:>9}", "path", "recorded", "counted", "change");
    for (path, times) in PATHS {
        let counted = count(valgrind, program, path, times)?;
        let verdict = match recorded.instructions.get(path) {
            None => Err("not recorded".to_owned()),
            Some(&expected) => judge(expected, counted, recorded.tolerance),
        };
        let expected = recorded.instructions.get(path).copied().unwrap_or_default();
        let (Ok(note) | Err(note)) = &verdict;
        println!("{path:<14}{expected:>12}{counted:>12}{note:>9}");
        violations += usize::from(verdict.is_err());
    }
    if violations > 0 {
        println!("record them by `cargo xtask bench --record` if that is as it should be");
        return Err(Failure::Violations(violations));
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts and writes.
pub(super) fn record(valgrind: &Path, program: &Path) -> Result<ExitCode, Failure> {
    let counts = PATHS
        .iter()
        .map(|&(path, times)| Ok(format!("{path} = {}", count(valgrind, program, path, times)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let text = format!(
        "# Instructions of one operation of each path of `phoenix-bench hot`, by `cargo xtask bench --record`.\n\
         rustc = {:?}\ntolerance = {TOLERANCE}\n\n[instructions]\n{}\n",
        rustc()?,
        counts.join("\n")
    );
    let path = project::root().join(FILE);
    fs::write(&path, text).map_err(|cause| Failure::Read { path: FILE.to_owned(), cause })?;
    Ok(ExitCode::SUCCESS)
}

/// The change as text, an error when it is too large either way: what became faster has to be recorded too, or it
/// may get lost again unnoticed.
fn judge(expected: u64, counted: u64, tolerance: f64) -> Result<String, String> {
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let change = counted as f64 / expected as f64 - 1.0;
    let text = format!("{:+.1} %", change * 100.0);
    if change.abs() > tolerance { Err(text) } else { Ok(text) }
}

/// Instructions of one operation.
fn count(valgrind: &Path, program: &Path, path: &str, times: u64) -> Result<u64, Failure> {
    let folder = project::target()?;
    let file = folder.join(format!("callgrind.{path}"));
    let mut command = Command::new(valgrind);
    command
        .arg("--tool=callgrind")
        .arg("--quiet")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg("--toggle-collect=phoenix_bench::hot::phoenix_bench_measured")
        .arg(program)
        .args(["hot", path, &times.to_string()]);
    command::output(&mut command, minutes(5))?;
    let text = fs::read_to_string(&file)
        .map_err(|cause| Failure::Read { path: file.display().to_string(), cause })?;
    total(&text).map(|total| total / times).ok_or(Failure::Missing("the total of callgrind"))
}

fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok())
}

fn rustc() -> Result<String, Failure> {
    let version =
        command::output(Command::new("rustc").arg("--version").current_dir(project::root()), minutes(1))?;
    Ok(version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_either_way_is_noticed() {
        assert_eq!(judge(1000, 1020, 0.03), Ok("+2.0 %".to_owned()));
        assert_eq!(judge(1000, 1031, 0.03), Err("+3.1 %".to_owned()));
        assert_eq!(judge(1000, 969, 0.03), Err("-3.1 %".to_owned()));
    }

    #[test]
    fn the_total_is_found() {
        assert_eq!(total("events: Ir\nsummary: 123\n\nfn=(1)"), Some(123));
        assert_eq!(total("events: Ir\n"), None);
    }
}
