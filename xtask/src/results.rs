//! What the test runners of a step have printed.

use crate::counts::Counts;

/// What a panic says is quoted up to this many lines.
const QUOTED: usize = 12;

/// Panics quoted: the first ones tell enough.
const QUOTES: usize = 5;

/// Counts, and what is worth being told again at the end.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) counts: Counts,
    /// Names of failed tests, each once.
    failed: Vec<String>,
    /// Panics of failed tests.
    quotes: Vec<Vec<String>>,
    /// Lines of the latest panic that are still to be quoted.
    quoting: usize,
}

impl Results {
    pub(crate) fn read(&mut self, line: &str) {
        self.counts += Counts::of_line(line);
        if let Some(name) = Counts::failed_test(line)
            && !self.failed.iter().any(|known| known == name)
        {
            self.failed.push(name.to_owned());
        }
        if line.contains("panicked at ") && self.quotes.len() < QUOTES {
            self.quotes.push(Vec::new());
            self.quoting = QUOTED;
        } else if line.trim_start().starts_with("stack backtrace:") {
            self.quoting = 0;
        }
        if self.quoting > 0
            && let Some(quote) = self.quotes.last_mut()
        {
            quote.push(line.to_owned());
            self.quoting -= 1;
        }
    }

    /// The failed tests, then what their panics said.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &str> {
        let quotes = self.quotes.iter().flatten().filter(|_| self.counts.failed > 0);
        self.failed.iter().chain(quotes).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named_once_and_quoted_without_their_backtrace() {
        let mut results = Results::default();
        let name = "        FAIL [   0.1s] (1/2) a::b c";
        let panic =
            ["thread 'c' panicked at src/c.rs:1:2:", "left is not right", "stack backtrace:", "  0: d"];
        for line in
            [&[name][..], &panic, &[name], &["     Summary [ 5.0s] 2 tests run: 1 passed, 1 failed"]].concat()
        {
            results.read(line);
        }
        assert_eq!(results.failures().collect::<Vec<_>>(), ["(1/2) a::b c", panic[0], panic[1]]);
    }

    #[test]
    fn panics_are_no_failures_where_everything_passed() {
        let mut results = Results::default();
        results.read("thread 'c' panicked at src/c.rs:1:2:");
        results.read("     Summary [ 5.0s] 2 tests run: 2 passed");
        assert_eq!(results.failures().count(), 0);
    }

    #[test]
    fn a_long_panic_is_cut() {
        let mut results = Results::default();
        results.read("thread 'c' panicked at src/c.rs:1:2:");
        (0..100).for_each(|number| results.read(&format!("line {number}")));
        results.read("# fail 1");
        assert_eq!(results.failures().count(), QUOTED);
    }
}
