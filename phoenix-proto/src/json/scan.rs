use std::borrow::Cow;

use thiserror::Error;

/// Text that is not the JSON expected, with the byte offset where that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{expected} expected at byte {offset}")]
pub struct SyntaxError {
    offset: usize,
    expected: &'static str,
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
    bytes: &'a [u8],
    text: &'a str,
    pos: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), text, pos: 0 }
    }

    /// Skips white space and takes one punctuation byte.
    pub(crate) fn punctuation(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.try_punctuation(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Skips white space and takes one punctuation byte if it is there.
    pub(crate) fn try_punctuation(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    /// Checks that only white space is left.
    pub(crate) fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.pos == self.bytes.len() { Ok(()) } else { Err(self.error("end of text")) }
    }

    /// Scans one value of any kind, white space in front of it skipped.
    pub(crate) fn value(&mut self) -> Result<Span, SyntaxError> {
        self.skip_space();
        let start = self.pos;
        let kind = match self.peek() {
            Some(b'{' | b'[') => self.container()?,
            _ => self.scalar()?,
        };
        Ok(Span { start, end: self.pos, kind })
    }

    /// Scans an array or object with everything in it.
    fn container(&mut self) -> Result<Kind, SyntaxError> {
        let kind = if self.peek() == Some(b'{') { Kind::Object } else { Kind::Array };
        let mut open = Nesting::default();
        'value: loop {
            self.skip_space();
            match self.peek() {
                Some(b'{') => {
                    self.pos += 1;
                    open.push(true);
                    if !self.try_punctuation(b'}') {
                        self.key()?;
                        continue 'value;
                    }
                    open.pop();
                }
                Some(b'[') => {
                    self.pos += 1;
                    open.push(false);
                    if !self.try_punctuation(b']') {
                        continue 'value;
                    }
                    open.pop();
                }
                _ => {
                    self.scalar()?;
                }
            }
            loop {
                let Some(in_object) = open.last() else { return Ok(kind) };
                if self.try_punctuation(b',') {
                    if in_object {
                        self.key()?;
                    }
                    continue 'value;
                }
                let close = if in_object { b'}' } else { b']' };
                self.punctuation(close, "',' or the end of the array or object")?;
                open.pop();
            }
        }
    }

    /// Scans a key of an object and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<Span, SyntaxError> {
        self.skip_space();
        let start = self.pos;
        if self.peek() != Some(b'"') {
            return Err(self.error("a key"));
        }
        let kind = self.string()?;
        let span = Span { start, end: self.pos, kind };
        self.punctuation(b':', "':'")?;
        Ok(span)
    }

    fn scalar(&mut self) -> Result<Kind, SyntaxError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::Bool),
            Some(b'f') => self.literal("false", Kind::Bool),
            Some(b'n') => self.literal("null", Kind::Null),
            _ => Err(self.error("a value")),
        }
    }

    fn literal(&mut self, word: &'static str, kind: Kind) -> Result<Kind, SyntaxError> {
        if !self.bytes[self.pos..].starts_with(word.as_bytes()) {
            return Err(self.error("a value"));
        }
        self.pos += word.len();
        Ok(kind)
    }

    fn string(&mut self) -> Result<Kind, SyntaxError> {
        self.pos += 1;
        let mut escaped = false;
        loop {
            self.pos += plain_prefix(&self.bytes[self.pos..]);
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(Kind::String { escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.pos += 1;
                    self.escape()?;
                }
                _ => return Err(self.error("a character of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.pos += 1;
                Ok(())
            }
            Some(b'u') => {
                self.pos += 1;
                match self.hex4()? {
                    0xD800..=0xDBFF => {
                        if !self.bytes[self.pos..].starts_with(b"\\u") {
                            return Err(self.error("the second half of a surrogate pair"));
                        }
                        self.pos += 2;
                        match self.hex4()? {
                            0xDC00..=0xDFFF => Ok(()),
                            _ => Err(self.error("the second half of a surrogate pair")),
                        }
                    }
                    0xDC00..=0xDFFF => Err(self.error("the first half of a surrogate pair")),
                    _ => Ok(()),
                }
            }
            _ => Err(self.error("an escape")),
        }
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.error("four hexadecimal digits"))?;
            self.pos += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        let start = self.pos;
        self.pos += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.pos += 1,
            _ => self.digits()?,
        }
        let integer_end = self.pos;
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.pos += 1;
            self.pos += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // An integer has no limit. Anything else is a double, and only an exponent or several
        // hundred digits can take it out of range.
        if exponent || (self.pos > integer_end && integer_end - start > 300) {
            let value: f64 = self.text[start..self.pos].parse().unwrap_or(f64::INFINITY);
            if !value.is_finite() {
                self.pos = start;
                return Err(self.error("a number in the range of a double"));
            }
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let digits = self.bytes[self.pos..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.pos += digits;
        if digits == 0 { Err(self.error("a digit")) } else { Ok(()) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.pos += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn error(&self, expected: &'static str) -> SyntaxError {
        SyntaxError { offset: self.pos, expected }
    }
}

/// Length of the prefix without quotes, backslashes and control characters.
fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let mut len = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight bytes"));
        let quotes = word ^ (ONES * u64::from(b'"'));
        let escapes = word ^ (ONES * u64::from(b'\\'));
        // Bytes above a special one may be flagged as well through the borrow; the lowest flag is exact.
        let special = (quotes.wrapping_sub(ONES) & !quotes)
            | (escapes.wrapping_sub(ONES) & !escapes)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if special & HIGHS != 0 {
            return len + (special & HIGHS).trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = words.remainder();
    len + rest.iter().position(|&byte| byte < 0x20 || matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
}

/// The open arrays (`false`) and objects (`true`) around a position: 64 levels without an allocation.
#[derive(Default)]
struct Nesting {
    depth: usize,
    bits: u64,
    outer: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
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
