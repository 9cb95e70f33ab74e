//! How many tests passed and failed, read from what the test runners print.

use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Counts {
    /// The counts a line of output adds: of cargo test, of cargo-nextest or of Node's runner.
    pub(crate) fn of_line(line: &str) -> Self {
        if let Some(result) = line.trim_start().strip_prefix("test result:") {
            return Self::before_words(result);
        }
        if line.trim_start().starts_with("Summary [") {
            return Self::before_words(line);
        }
        Self::of_node(line).unwrap_or_default()
    }

    /// The failed test a line names: of cargo test, of cargo-nextest or of Node's runner.
    pub(crate) fn failed_test(line: &str) -> Option<&str> {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            return Some(name);
        }
        if let Some(test) = line.strip_prefix("✖ ") {
            return (test != "failing tests:").then_some(test);
        }
        let (verdict, rest) = line.split_once(" [")?;
        let is_bad = ["FAIL", "TIMEOUT", "SIG", "ABORT", "LEAK-FAIL", "XFAIL"]
            .iter()
            .any(|bad| verdict.starts_with(bad));
        is_bad.then(|| rest.split_once("] ").map_or(rest, |(_, test)| test))
    }

    /// `11 passed, 1 failed` and `11 passed; 1 failed`.
    fn before_words(text: &str) -> Self {
        let words: Vec<_> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let mut counts = Self::default();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u32>() else { continue };
            match pair[1] {
                "passed" => counts.passed += number,
                // "timed out" and "exec failed" are nextest's.
                "failed" | "timed" | "exec" => counts.failed += number,
                "ignored" | "skipped" => counts.skipped += number,
                _ => {}
            }
        }
        counts
    }

    /// `ℹ pass 12`, or `# pass 12` in TAP.
    fn of_node(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# "))?;
        let (name, number) = rest.split_once(' ')?;
        let number = number.trim().parse().ok()?;
        let none = Self::default();
        Some(match name {
            "pass" => Self { passed: number, ..none },
            "fail" | "cancelled" => Self { failed: number, ..none },
            "skipped" | "todo" => Self { skipped: number, ..none },
            _ => none,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_cargo_test() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s";
        assert_eq!(Counts::of_line(line), counts(12, 2, 1));
    }

    #[test]
    fn counts_of_nextest() {
        let line =
            "     Summary [   5.012s] 15 tests run: 12 passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(Counts::of_line(line), counts(12, 3, 3));
    }

    #[test]
    fn counts_of_node() {
        assert_eq!(Counts::of_line("ℹ pass 7"), counts(7, 0, 0));
        assert_eq!(Counts::of_line("# fail 3"), counts(0, 3, 0));
        assert_eq!(Counts::of_line("ℹ cancelled 2"), counts(0, 2, 0));
        assert_eq!(Counts::of_line("ℹ tests 12"), counts(0, 0, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "2 passed", "# Subtest: pass 2", "ℹ duration_ms 12.5", "test a ... ok"] {
            assert_eq!(Counts::of_line(line), counts(0, 0, 0), "{line}");
        }
    }

    #[test]
    fn failed_tests_are_named() {
        let nextest =
            "        FAIL [   0.171s] ( 12/181) phoenix-conformance::replay tcp::a_reset_is_a_reset";
        assert_eq!(
            Counts::failed_test(nextest),
            Some("( 12/181) phoenix-conformance::replay tcp::a_reset_is_a_reset")
        );
        assert_eq!(
            Counts::failed_test("test src/lib.rs - Topic (line 3) ... FAILED"),
            Some("src/lib.rs - Topic (line 3)")
        );
        assert_eq!(
            Counts::failed_test("  ✖ a join is answered (12.5ms)"),
            Some("a join is answered (12.5ms)")
        );
        for line in [
            "        PASS [   0.171s] (12/181) a b",
            "✖ failing tests:",
            "test a ... ok",
            "  SLOW [> 60.000s] a b",
        ] {
            assert_eq!(Counts::failed_test(line), None, "{line}");
        }
    }

    fn counts(passed: u32, failed: u32, skipped: u32) -> Counts {
        Counts { passed, failed, skipped }
    }
}
