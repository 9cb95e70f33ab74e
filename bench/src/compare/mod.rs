//! Several servers against the limit server in one run: alternating rounds, medians of ratios.

mod chart;
mod markers;
mod round;
mod server;
mod summary;
mod table;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use markers::MarkersMissing;
pub use server::{BadContender, Contender, StartError};

use crate::load::Mode;

/// What is compared, and where the result is written.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// This program, which runs the limit server and the load.
    pub program: PathBuf,
    /// The servers compared with the limit.
    pub contenders: Vec<Contender>,
    /// What is measured.
    pub modes: Vec<Mode>,
    /// How often each mode is measured with each server.
    pub rounds: usize,
    /// The window of each measurement.
    pub window: Duration,
    /// The path of the WebSocket at every contender.
    pub path: String,
    /// A Markdown file with the markers between which the tables belong; plots go to `plots/` beside it.
    pub out: PathBuf,
    /// The core every server is pinned to, or several as `taskset` takes them.
    pub server_core: String,
    /// The core the load is pinned to, or several.
    pub load_core: String,
}

/// Why a comparison has no result. Nothing is written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A server did not start.
    #[error("server {name}: {source}")]
    Start {
        /// The server.
        name: String,
        /// Why.
        source: StartError,
    },
    /// The load could not be started.
    #[error("the load could not be started: {0}")]
    Load(#[source] io::Error),
    /// The load failed: it has said why on standard error.
    #[error("the load {} on server {name} failed", mode.name())]
    LoadFailed {
        /// The mode.
        mode: Mode,
        /// The server.
        name: String,
    },
    /// The load wrote something else than an outcome.
    #[error("the load wrote no outcome: {0}")]
    Outcome(#[source] serde_json::Error),
    /// The file or a plot could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no place for the tables.
    #[error("{}: {source}", path.display())]
    Markers {
        /// The file.
        path: PathBuf,
        /// What is missing.
        source: MarkersMissing,
    },
}

/// Measures and writes; tells its progress on standard error. Takes some seconds for each server, mode and
/// round.
///
/// # Errors
///
/// When a server does not start, the load fails, or the result cannot be written.
pub fn run(comparison: &Comparison) -> Result<(), CompareError> {
    let out = &comparison.out;
    let file = |path: &PathBuf| {
        let path = path.clone();
        move |source| CompareError::File { path, source }
    };
    let document = fs::read_to_string(out).map_err(file(out))?;
    // Found out before the measurements rather than after them.
    let missing = |source| CompareError::Markers { path: out.clone(), source };
    markers::replace(&document, "").map_err(missing)?;

    let rows = summary::rows(&round::measure(comparison)?);
    let plots = out.with_file_name("plots");
    fs::create_dir_all(&plots).map_err(file(&plots))?;
    let mut text = table::render(&rows, comparison.rounds);
    text += "CPU, rate and latency as ratios to the limit (the dashed line), memory in KiB:\n";
    for mode in &comparison.modes {
        let name = mode.name();
        let path = plots.join(format!("{name}.svg"));
        fs::write(&path, chart::of_mode(*mode, &rows).svg()).map_err(file(&path))?;
        text += &["\n![", name, "](plots/", name, ".svg)\n"].concat();
    }
    let document = markers::replace(&document, &text).map_err(missing)?;
    fs::write(out, document).map_err(file(out))
}
