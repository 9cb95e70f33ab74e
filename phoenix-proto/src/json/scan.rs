#![allow(clippy::inline_always, reason = "most tokens cost less than a call")]

use std::borrow::Cow;

use thiserror::Error;

use super::token::{self, Nesting, Scanned, byte, error, skip_space};

/// Text that is not the JSON expected, with the byte offset where that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{expected} expected at byte {offset}")]
pub struct SyntaxError {
    pub(super) offset: usize,
    pub(super) expected: &'static str,
}

impl SyntaxError {
    /// The byte offset of the problem.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// What a scanned value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    /// A string; `escaped` when its text is not literally its value.
    String {
        escaped: bool,
    },
    Array,
    Object,
}

/// Where a value stands in the scanned text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

impl Span {
    pub(crate) fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }

    /// The characters between the quotes of a string.
    pub(crate) fn inner(self, text: &str) -> &str {
        &text[self.start + 1..self.end - 1]
    }

    /// The value of a string, its escapes resolved.
    pub(crate) fn string(self, text: &str) -> Cow<'_, str> {
        match self.kind {
            Kind::String { escaped: false } => Cow::Borrowed(self.inner(text)),
            _ => Cow::Owned(serde_json::from_str(self.of(text)).unwrap_or_default()),
        }
    }
}

/// Validates JSON in one pass without recursion and reports where the values stand.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    /// Skips white space and takes one punctuation byte.
    #[inline]
    pub(crate) fn punctuation(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.try_punctuation(byte) { Ok(()) } else { error(self.pos, expected) }
    }

    /// Skips white space and takes one punctuation byte if it is there.
    #[inline]
    pub(crate) fn try_punctuation(&mut self, wanted: u8) -> bool {
        let bytes = self.text.as_bytes();
        self.pos = skip_space(bytes, self.pos);
        let found = byte(bytes, self.pos) == wanted;
        self.pos += usize::from(found);
        found
    }

    /// Checks that only white space is left.
    pub(crate) fn end(&mut self) -> Result<(), SyntaxError> {
        let bytes = self.text.as_bytes();
        self.pos = skip_space(bytes, self.pos);
        if self.pos == bytes.len() { Ok(()) } else { error(self.pos, "end of text") }
    }

    /// Scans one value of any kind, white space in front of it skipped.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Span, SyntaxError> {
        let bytes = self.text.as_bytes();
        let start = skip_space(bytes, self.pos);
        if byte(bytes, start) != b'"' {
            return self.other_value(start);
        }
        let (end, escaped) = token::string(bytes, start)?;
        self.pos = end;
        Ok(Span { start, end, kind: Kind::String { escaped } })
    }

    fn other_value(&mut self, start: usize) -> Result<Span, SyntaxError> {
        let bytes = self.text.as_bytes();
        let (end, kind) = match byte(bytes, start) {
            b'{' => (container(self.text, start)?, Kind::Object),
            b'[' => (container(self.text, start)?, Kind::Array),
            b'-' | b'0'..=b'9' => (token::number(self.text, start)?, Kind::Number),
            b't' => (token::literal(bytes, start, b"true")?, Kind::Bool),
            b'f' => (token::literal(bytes, start, b"false")?, Kind::Bool),
            b'n' => (token::literal(bytes, start, b"null")?, Kind::Null),
            _ => return error(start, "a value"),
        };
        self.pos = end;
        Ok(Span { start, end, kind })
    }

    /// Scans a key of an object and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<Span, SyntaxError> {
        let bytes = self.text.as_bytes();
        let start = skip_space(bytes, self.pos);
        if byte(bytes, start) != b'"' {
            return error(start, "a key");
        }
        let (end, escaped) = token::string(bytes, start)?;
        self.pos = end;
        self.punctuation(b':', "':'")?;
        Ok(Span { start, end, kind: Kind::String { escaped } })
    }
}

/// Behind the array or object that starts at `at`, everything in it scanned.
fn container(text: &str, mut at: usize) -> Scanned {
    let bytes = text.as_bytes();
    let mut open = Nesting::new();
    loop {
        // A value is next. Most have no white space around them, so that it is looked for last.
        match byte(bytes, at) {
            b'"' => (at, _) = token::string(bytes, at)?,
            b'{' => {
                at = skip_space(bytes, at + 1);
                if byte(bytes, at) != b'}' {
                    open.push(true);
                    at = key(bytes, at)?;
                    continue;
                }
                at += 1;
            }
            b'[' => {
                at = skip_space(bytes, at + 1);
                if byte(bytes, at) != b']' {
                    open.push(false);
                    continue;
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => at = token::number(text, at)?,
            b't' => at = token::literal(bytes, at, b"true")?,
            b'f' => at = token::literal(bytes, at, b"false")?,
            b'n' => at = token::literal(bytes, at, b"null")?,
            b' ' | b'\t' | b'\n' | b'\r' => {
                at = skip_space(bytes, at);
                continue;
            }
            _ => return error(at, "a value"),
        }
        // A value has ended, and with it perhaps what is around it.
        loop {
            let Some(in_object) = open.last() else { return Ok(at) };
            match byte(bytes, at) {
                b',' => {
                    at += 1;
                    if in_object {
                        at = key(bytes, at)?;
                    }
                    break;
                }
                b'}' if in_object => open.pop(),
                b']' if !in_object => open.pop(),
                b' ' | b'\t' | b'\n' | b'\r' => {
                    at = skip_space(bytes, at);
                    continue;
                }
                _ => return error(at, "',' or the end of the array or object"),
            }
            at += 1;
        }
    }
}

/// Behind the key that is next, and its colon.
#[inline(always)]
fn key(bytes: &[u8], at: usize) -> Scanned {
    let at = skip_space(bytes, at);
    if byte(bytes, at) == b'"' { token::key(bytes, at) } else { error(at, "a key") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().and_then(|_| scanner.end()).is_ok()
    }

    #[test]
    fn values_phoenix_accepts() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "null",
            "true",
            "\"\"",
            "\"\\u001F\\/\\\"\"",
            "-0",
            "-0.0",
            "0.5e-7",
            "1E3",
            "5.0e-324",
            "123456789012345678901234567890",
            "{\"a\":[1,{\"b\":null}],\"\":\"\u{7f}\u{2028}\"}",
            "\"\\ud83d\\ude00\"",
            "\"a longer string without anything special\"",
            "1e308",
            "[[[]],{}]",
        ] {
            assert!(valid(text), "{text}");
        }
    }

    #[test]
    fn values_phoenix_refuses() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e309",
            "-1e400",
            "NaN",
            "nul",
            "truE",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "\"12345678\u{1}\"",
            "\u{feff}{}",
            "{}{}",
            "[1]x",
            "/**/1",
            "[}",
            "{]",
            "\"\\u12g4\"",
            "'a'",
        ] {
            assert!(!valid(text), "{text}");
        }
        assert!(!valid(&format!("{}.5", "9".repeat(400))));
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        for depth in [63, 64, 65, 128, 129, 5000, 100_000] {
            let mixed = format!("{}1{}", "[{\"a\":".repeat(depth / 2), "}]".repeat(depth / 2));
            assert!(valid(&mixed), "{depth}");
            assert!(!valid(&mixed[..mixed.len() - 1]), "{depth}");
            assert!(valid(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))));
        }
    }

    #[test]
    fn spans_point_at_the_values() {
        let text = " [ \"a\\n\" , 1.5 ]";
        let mut scanner = Scanner::new(text);
        scanner.punctuation(b'[', "[").unwrap();
        let string = scanner.value().unwrap();
        assert_eq!((string.of(text), string.inner(text)), ("\"a\\n\"", "a\\n"));
        assert_eq!(string.kind, Kind::String { escaped: true });
        assert!(scanner.try_punctuation(b','));
        let number = scanner.value().unwrap();
        assert_eq!((number.of(text), number.kind), ("1.5", Kind::Number));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}\",:0-9a-z\\\\. eE+-]{0,24}") {
            // serde_json also parses the numbers, so that both refuse what is out of range.
            prop_assert_eq!(valid(&text), serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }

        #[test]
        fn every_encoded_value_is_valid(keys in prop::collection::vec(any::<String>(), 0..6), number in any::<f64>()) {
            let value = serde_json::json!({ "keys": keys, "number": number });
            prop_assert!(valid(&value.to_string()));
            prop_assert!(valid(&serde_json::to_string_pretty(&value).unwrap()));
        }
    }
}
