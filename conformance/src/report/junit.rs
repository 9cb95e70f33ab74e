//! `JUnit` XML, which every CI system reads.

use std::io::Write;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Outcome, Report, Verdict};

/// A `JUnit` report that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the JUnit report")]
pub struct JunitError(#[from] quick_junit::SerializeError);

pub(super) fn write(report: &Report, out: impl Write) -> Result<(), JunitError> {
    let mut suite = TestSuite::new("recordings");
    suite.add_test_cases(report.outcomes.iter().map(case));
    for id in &report.stale_deviations {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message("the listed deviation does not occur");
        suite.add_test_case(TestCase::new(id.as_str(), status));
    }
    let mut junit = quick_junit::Report::new("phoenix-conformance");
    junit.add_test_suite(suite);
    Ok(junit.serialize(out)?)
}

fn case(outcome: &Outcome) -> TestCase {
    let status = match outcome.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped => TestCaseStatus::skipped(),
        Verdict::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let mut failures = outcome.failures();
            if let Some(first) = failures.next() {
                status.set_message(first.to_string());
                status.set_description(format!("- {}\n+ {}", first.recorded, first.actual));
            }
            status
        }
    };
    let mut case = TestCase::new(outcome.name.as_str(), status);
    case.set_time(outcome.duration);
    case
}
