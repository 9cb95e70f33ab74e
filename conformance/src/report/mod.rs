//! What came of a replay, for people and for machines.

mod junit;
mod text;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

pub use self::junit::JunitError;
use crate::deviations::Deviations;
use crate::difference::Difference;

/// What came of one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// No difference, or listed ones only.
    Passed,
    /// A difference that is not listed.
    Failed,
    /// The recording stops the server and the replay was not told how to do that.
    Skipped,
}

/// A recording, its verdict and its differences.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Name of the recording.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// All differences, allowed ones included, in the order of the recording.
    pub differences: Vec<Difference>,
    /// How long the last attempt took.
    #[serde(serialize_with = "as_seconds", rename = "seconds")]
    pub duration: Duration,
    /// How often it was replayed, the failed attempts included.
    pub attempts: u32,
}

impl Outcome {
    pub(crate) fn new(
        name: String,
        verdict: Verdict,
        differences: Vec<Difference>,
        duration: Duration,
        attempts: u32,
    ) -> Self {
        Self { name, verdict, differences, duration, attempts }
    }

    pub(crate) fn skipped(name: String) -> Self {
        Self::new(name, Verdict::Skipped, Vec::new(), Duration::ZERO, 0)
    }

    /// The differences no deviation allows.
    pub fn failures(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.allowed_by.is_none())
    }
}

/// What came of all recordings.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// One for every recording, by name.
    pub outcomes: Vec<Outcome>,
    /// Ids of listed deviations that did not occur, although their recordings were replayed.
    pub stale_deviations: Vec<String>,
}

impl Report {
    pub(crate) fn new(mut outcomes: Vec<Outcome>, deviations: &Deviations, complete: bool) -> Self {
        let mut used = BTreeSet::new();
        for outcome in &mut outcomes {
            for difference in &mut outcome.differences {
                difference.allowed_by = deviations.allowing(difference).map(str::to_owned);
                used.extend(difference.allowed_by.clone());
            }
            if outcome.verdict == Verdict::Failed && outcome.failures().next().is_none() {
                outcome.verdict = Verdict::Passed;
            }
        }
        let skipped = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Skipped);
        let replayed = outcomes
            .iter()
            .filter(|outcome| outcome.verdict != Verdict::Skipped)
            .map(|outcome| outcome.name.as_str())
            .collect();
        let stale_deviations = deviations.stale(&used, &replayed, complete && !skipped);
        Self { outcomes, stale_deviations }
    }

    /// Whether nothing failed and no listed deviation is stale.
    pub fn is_ok(&self) -> bool {
        self.stale_deviations.is_empty() && self.count(Verdict::Failed) == 0
    }

    /// Number of recordings with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.verdict == verdict).count()
    }

    /// Panics with a readable report unless the replay [is ok](Self::is_ok), for use in tests.
    pub fn assert_ok(&self) {
        assert!(self.is_ok(), "{}", self.to_text());
    }

    /// A table of the recordings, the first difference of each failure, and a summary; without colours.
    pub fn to_text(&self) -> String {
        let mut text = Vec::new();
        // Writing to a vector cannot fail.
        let _ = self.write_text(&mut text);
        String::from_utf8_lossy(&anstream::adapter::strip_bytes(&text).into_vec()).into_owned()
    }

    /// Writes the report of [`to_text`](Self::to_text) with colours; give it an `anstream` to adapt them.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        text::write(self, out)
    }

    /// Writes everything as JSON.
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(out, self).map_err(io::Error::from)
    }

    /// Writes a `JUnit` report: a test case for every recording.
    pub fn write_junit(&self, out: impl Write) -> Result<(), JunitError> {
        junit::write(self, out)
    }
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
