//! The steps of a command, what each took and how it ended.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{command::Failure, counts::Counts, results::Results};

struct Row {
    title: String,
    took: Duration,
    results: Results,
    failure: Option<Failure>,
}

/// What has been done so far.
#[derive(Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    /// Does a step that either succeeds or fails as a whole; answers whether it succeeded.
    pub(crate) fn step(&mut self, title: &str, body: impl FnOnce() -> Result<(), Failure>) -> bool {
        self.tests(title, |_| body())
    }

    /// Does a step that counts tests; one that fails without a failed test counts as one.
    pub(crate) fn tests(
        &mut self,
        title: &str,
        body: impl FnOnce(&mut Results) -> Result<(), Failure>,
    ) -> bool {
        println!("\n== {title}");
        let start = Instant::now();
        let mut results = Results::default();
        let failure = body(&mut results).err();
        if results.counts.failed == 0 && failure.is_some() {
            results.counts.failed = 1;
        }
        let row = Row { title: title.into(), took: start.elapsed(), results, failure };
        println!("== {}", row.text());
        let succeeded = row.succeeded();
        self.rows.push(row);
        succeeded
    }

    /// Prints all steps, what failed in them, and the sum of all counts.
    pub(crate) fn finish(&self) -> ExitCode {
        println!("\n== summary");
        for row in &self.rows {
            println!("   {}", row.text());
        }
        for row in self.rows.iter().filter(|row| !row.succeeded()) {
            println!("\n== what failed in {}", row.title);
            row.results.failures().for_each(|line| println!("   {line}"));
        }
        println!("{}", self.verdict());
        if self.rows.iter().all(Row::succeeded) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The sum of all counts, or of the steps if none of them counts anything.
    fn verdict(&self) -> String {
        let mut counts = Counts::default();
        for row in &self.rows {
            counts += row.results.counts;
        }
        if counts.passed == 0 {
            let failed = self.rows.iter().filter(|row| !row.succeeded()).count();
            return format!("{} steps passed, {failed} failed", self.rows.len() - failed);
        }
        let skipped =
            if counts.skipped > 0 { format!(", {} skipped", counts.skipped) } else { String::new() };
        format!("{} passed, {} failed{skipped}", counts.passed, counts.failed)
    }
}

impl Row {
    fn succeeded(&self) -> bool {
        self.failure.is_none() && self.results.counts.failed == 0
    }

    fn text(&self) -> String {
        let Counts { passed, failed, .. } = self.results.counts;
        let mark = if self.succeeded() { "ok    " } else { "FAILED" };
        let counted = if passed > 0 { format!(": {passed} passed, {failed} failed") } else { String::new() };
        let cause = self.failure.as_ref().map_or_else(String::new, |failure| format!(" ({failure})"));
        format!("{mark} {:>6.1} s  {}{counted}{cause}", self.took.as_secs_f64(), self.title)
    }
}
