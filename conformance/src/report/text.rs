//! The report for people.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use super::{Outcome, Report, Verdict};
use crate::difference::Difference;

pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let width = report.outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or_default();
    for outcome in &report.outcomes {
        let verdict = match outcome.verdict {
            Verdict::Passed => "passed".green().to_string(),
            Verdict::Failed => "FAILED".red().bold().to_string(),
            Verdict::Skipped => "skipped".yellow().to_string(),
        };
        let seconds = outcome.duration.as_secs_f64();
        writeln!(out, "{:width$}  {seconds:6.1} s  {verdict}{}", outcome.name, note(outcome))?;
    }
    for outcome in &report.outcomes {
        if let Some(first) = outcome.failures().next() {
            writeln!(out)?;
            write_difference(first, out)?;
            let more = outcome.failures().count() - 1;
            if more > 0 {
                writeln!(out, "  … and {more} more")?;
            }
        }
    }
    for id in &report.stale_deviations {
        writeln!(out, "\n{}: the listed deviation does not occur", id.red().bold())?;
    }
    let count = |verdict| report.count(verdict);
    writeln!(
        out,
        "\n{} passed, {} failed, {} skipped",
        count(Verdict::Passed),
        count(Verdict::Failed),
        count(Verdict::Skipped)
    )
}

/// What a verdict does not say: why, which deviations were used, and at which attempt.
fn note(outcome: &Outcome) -> String {
    let mut ids: Vec<&str> =
        outcome.differences.iter().filter_map(|each| each.allowed_by.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    if outcome.verdict == Verdict::Skipped {
        return "  it stops the server".to_owned();
    }
    let ids = if ids.is_empty() { String::new() } else { format!("  with {}", ids.join(", ")) };
    let attempts =
        if outcome.attempts > 1 { format!("  attempt {}", outcome.attempts) } else { String::new() };
    ids + &attempts
}

fn write_difference(difference: &Difference, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", difference.to_string().bold())?;
    if difference.recorded.is_empty() {
        return writeln!(out, "  {}", format!("+ {}", difference.actual).green());
    }
    if difference.actual.is_empty() {
        return writeln!(out, "  {}", format!("- {}", difference.recorded).red());
    }
    let diff = TextDiff::from_words(&difference.recorded, &difference.actual);
    for (sign, side) in [("-", ChangeTag::Delete), ("+", ChangeTag::Insert)] {
        write!(out, "  {sign} ")?;
        for change in diff.iter_all_changes() {
            let text = change.value();
            match change.tag() {
                ChangeTag::Equal => write!(out, "{text}")?,
                ChangeTag::Delete if side == ChangeTag::Delete => write!(out, "{}", text.red().bold())?,
                ChangeTag::Insert if side == ChangeTag::Insert => write!(out, "{}", text.green().bold())?,
                ChangeTag::Delete | ChangeTag::Insert => {}
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
