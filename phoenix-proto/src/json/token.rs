//! The tokens of JSON. Every function gets the position of a token and returns the one behind it.

#![allow(clippy::inline_always, reason = "most tokens cost less than a call")]

use wide::u8x16;

use super::SyntaxError;

pub(super) type Scanned<T = usize> = Result<T, SyntaxError>;

/// The byte at a position; behind the end a zero, which no JSON has outside of strings nor in them.
#[inline(always)]
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline(always)]
pub(super) fn skip_space(bytes: &[u8], at: usize) -> usize {
    // Most JSON has no white space between its tokens.
    if byte(bytes, at) > b' ' { at } else { skip_more_space(bytes, at) }
}

fn skip_more_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

#[cold]
pub(super) fn error<T>(offset: usize, expected: &'static str) -> Scanned<T> {
    Err(SyntaxError { offset, expected })
}

/// Behind the key whose first quote is at `at`, and the colon that follows it.
#[inline(always)]
pub(super) fn key(bytes: &[u8], at: usize) -> Scanned {
    let (at, _) = string(bytes, at)?;
    let at = if byte(bytes, at) == b':' { at } else { skip_more_space(bytes, at) };
    if byte(bytes, at) == b':' { Ok(at + 1) } else { error(at, "':'") }
}

/// Behind the string whose first quote is at `at`, and whether it has escapes.
#[inline(always)]
pub(super) fn string(bytes: &[u8], at: usize) -> Scanned<(usize, bool)> {
    let end = plain_end(bytes, at + 1);
    if byte(bytes, end) == b'"' { Ok((end + 1, false)) } else { escaped_string(bytes, end) }
}

/// The rest of a string from the first byte on that is neither plain nor its end.
fn escaped_string(bytes: &[u8], mut at: usize) -> Scanned<(usize, bool)> {
    loop {
        at = plain_end(bytes, at);
        match byte(bytes, at) {
            b'"' => return Ok((at + 1, true)),
            b'\\' => at = escape(bytes, at + 1)?,
            _ => return error(at, "a character of a string"),
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Scanned {
    match byte(bytes, at) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
        b'u' => match hex4(bytes, at + 1)? {
            (at, 0xD800..=0xDBFF) => {
                const MISSING: &str = "the second half of a surrogate pair";
                if (byte(bytes, at), byte(bytes, at + 1)) != (b'\\', b'u') {
                    return error(at, MISSING);
                }
                match hex4(bytes, at + 2)? {
                    (at, 0xDC00..=0xDFFF) => Ok(at),
                    (at, _) => error(at, MISSING),
                }
            }
            (at, 0xDC00..=0xDFFF) => error(at, "the first half of a surrogate pair"),
            (at, _) => Ok(at),
        },
        _ => error(at, "an escape"),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Scanned<(usize, u32)> {
    let mut code = 0;
    for at in at..at + 4 {
        match char::from(byte(bytes, at)).to_digit(16) {
            Some(digit) => code = code * 16 + digit,
            None => return error(at, "four hexadecimal digits"),
        }
    }
    Ok((at + 4, code))
}

#[inline(always)]
pub(super) fn number(text: &str, start: usize) -> Scanned {
    let bytes = text.as_bytes();
    let mut at = start + usize::from(byte(bytes, start) == b'-');
    at = if byte(bytes, at) == b'0' { at + 1 } else { digits(bytes, at)? };
    match byte(bytes, at) {
        b'.' | b'e' | b'E' => double(text, start, at),
        _ => Ok(at),
    }
}

/// A number from the point or the exponent on, which makes it a double. An integer has no limit.
fn double(text: &str, start: usize, integer_end: usize) -> Scanned {
    let bytes = text.as_bytes();
    let mut at = integer_end;
    if byte(bytes, at) == b'.' {
        at = digits(bytes, at + 1)?;
    }
    let exponent = matches!(byte(bytes, at), b'e' | b'E');
    if exponent {
        at += 1;
        at = digits(bytes, at + usize::from(matches!(byte(bytes, at), b'+' | b'-')))?;
    }
    // Only an exponent or several hundred digits can take it out of range.
    if exponent || integer_end - start > 300 {
        let value: f64 = text[start..at].parse().unwrap_or(f64::INFINITY);
        if !value.is_finite() {
            return error(start, "a number in the range of a double");
        }
    }
    Ok(at)
}

#[inline(always)]
fn digits(bytes: &[u8], start: usize) -> Scanned {
    let mut at = start;
    while byte(bytes, at).is_ascii_digit() {
        at += 1;
    }
    if at == start { error(at, "a digit") } else { Ok(at) }
}

#[inline(always)]
pub(super) fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Scanned {
    match bytes.get(at..at + word.len()) {
        Some(found) if found == word => Ok(at + word.len()),
        _ => error(at, "a value"),
    }
}

/// The position of the first quote, backslash or control character from `at` on, or the end.
#[inline(always)]
pub(crate) fn plain_end(bytes: &[u8], at: usize) -> usize {
    // Most strings end within the first piece.
    match bytes.get(at..).and_then(<[u8]>::first_chunk).map(special) {
        None => far_plain_end(bytes, at),
        Some(0) => far_plain_end(bytes, at + PIECE),
        Some(flags) => at + flags.trailing_zeros() as usize,
    }
}

#[inline(never)]
fn far_plain_end(bytes: &[u8], mut at: usize) -> usize {
    let (pieces, rest) = bytes.get(at..).unwrap_or_default().as_chunks();
    for piece in pieces {
        let flags = special(piece);
        if flags != 0 {
            return at + flags.trailing_zeros() as usize;
        }
        at += PIECE;
    }
    match bytes.last_chunk().map(special) {
        Some(flags) => {
            let flags = flags >> (PIECE - rest.len());
            at + rest.len().min(flags.trailing_zeros() as usize)
        }
        None => at + rest.iter().take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')).count(),
    }
}

const PIECE: usize = 16;

/// A bit for each byte that cannot stand in a string as it is, the first byte lowest.
#[inline(always)]
fn special(piece: &[u8; PIECE]) -> u32 {
    let bytes = u8x16::new(*piece);
    let is_control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    let is_special = is_control | bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
    is_special.to_bitmask()
}

/// The open arrays (`false`) and objects (`true`) around a position: 63 levels without an allocation.
pub(super) struct Nesting {
    /// One bit for each level, the innermost lowest, below a one that marks the end.
    bits: u64,
    outer: Vec<u64>,
}

const NO_LEVEL: u64 = 1;

impl Nesting {
    pub(super) const fn new() -> Self {
        Self { bits: NO_LEVEL, outer: Vec::new() }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, object: bool) {
        if self.bits >> 63 == 1 {
            self.outer.push(self.bits);
            self.bits = NO_LEVEL;
        }
        self.bits = self.bits << 1 | u64::from(object);
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) {
        self.bits >>= 1;
        if self.bits == NO_LEVEL {
            self.bits = self.outer.pop().unwrap_or(NO_LEVEL);
        }
    }

    #[inline(always)]
    pub(super) fn last(&self) -> Option<bool> {
        (self.bits != NO_LEVEL).then_some(self.bits & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_string_is_found_at_every_place_and_length() {
        for length in 0..3 * PIECE {
            let plain: Vec<u8> = (0..length).map(|at| [b' ', b'~', 0x7F, 0x80, 0xFF][at % 5]).collect();
            for start in 0..=length {
                assert_eq!(plain_end(&plain, start), length, "{start} of {length}");
            }
            for special in [b'"', b'\\', 0, 0x1F] {
                for at in 0..length {
                    let mut bytes = plain.clone();
                    bytes[at] = special;
                    for start in 0..=length {
                        let expected = if start <= at { at } else { length };
                        assert_eq!(
                            plain_end(&bytes, start),
                            expected,
                            "{special} at {at} from {start} of {length}"
                        );
                    }
                }
            }
        }
    }
}
