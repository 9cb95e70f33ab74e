use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use thiserror::Error;

use crate::{Incoming, Text};

/// How the body of a POST is read (protocol §15.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// Content type `application/x-ndjson` exactly: a message per line.
    Lines,
    /// Any other content type or none: the whole body is one message.
    Single,
}

/// A body that no message can be taken from; the session does not hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A line that does not start with `[` is no base64.
    #[error("line {line} is neither a JSON list nor base64")]
    NotBase64 {
        /// Its number, from 1.
        line: usize,
    },
    /// A text message is not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
}

/// How many lines of one body are read; the rest is ignored, as in Phoenix.
pub const MAX_LINES: usize = 100;

/// The messages of a body, in order.
///
/// Lines end with `\n` or `\r\n`. One that starts with `[` is text, any other is a binary message in base64;
/// empty ones are ignored and not counted. The messages share the bytes of the body.
///
/// # Errors
/// [`BodyError`]; then none of the messages counts.
pub fn parse_body(format: BodyFormat, body: &Bytes) -> Result<Vec<Incoming>, BodyError> {
    match format {
        BodyFormat::Single => Ok(vec![text(body.clone())?]),
        BodyFormat::Lines => {
            let lines =
                body.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            let numbered = (1..).zip(lines).filter(|(_, line)| !line.is_empty());
            numbered.take(MAX_LINES).map(|(number, line)| message(number, body.slice_ref(line))).collect()
        }
    }
}

fn message(number: usize, line: Bytes) -> Result<Incoming, BodyError> {
    if line.starts_with(b"[") {
        return text(line);
    }
    let data = STANDARD.decode(line).map_err(|_| BodyError::NotBase64 { line: number })?;
    Ok(Incoming::Binary(data.into()))
}

fn text(bytes: Bytes) -> Result<Incoming, BodyError> {
    Text::from_utf8(bytes).map(Incoming::Text).map_err(|_| BodyError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_text_or_base64() {
        let expected =
            [text_message("[1]"), Incoming::Binary(Bytes::from_static(&[0, 1, 2])), text_message("[2]")];
        for body in ["[1]\nAAEC\n[2]", "[1]\r\nAAEC\r\n[2]", "\n[1]\n\nAAEC\n\r\n[2]\n", "[1]\nAAEC\n[2]\r\n"]
        {
            assert_eq!(lines(body), Ok(expected.to_vec()), "{body:?}");
        }
        assert_eq!(lines(""), Ok(vec![]));
    }

    #[test]
    fn other_lines_are_refused() {
        for (body, line) in
            [("{}", 1), ("[1]\n [2]", 2), ("\n\n[1]\nAA", 4), ("not base64!", 1), ("AAEC ", 1)]
        {
            assert_eq!(lines(body), Err(BodyError::NotBase64 { line }), "{body:?}");
        }
        assert_eq!(parse_body(BodyFormat::Lines, &Bytes::from_static(b"[\xff]")), Err(BodyError::NotUtf8));
    }

    #[test]
    fn a_hundred_lines_are_read() {
        let body = (0..105).map(|number| format!("[{number}]")).collect::<Vec<_>>().join("\n\n") + "\n\n";
        let expected: Vec<_> = (0..100).map(|number| text_message(&format!("[{number}]"))).collect();
        assert_eq!(lines(&(body + "not base64!")), Ok(expected));
    }

    #[test]
    fn another_body_is_one_message() {
        for body in ["", "[1]\n[2]", "{\"topic\":\"a\"}", "AAEC"] {
            let body = Bytes::from_static(body.as_bytes());
            let expected = Incoming::Text(Text::from_utf8(body.clone()).unwrap());
            assert_eq!(parse_body(BodyFormat::Single, &body), Ok(vec![expected]));
        }
        // A binary push as phoenix.js 1.5 and 1.6 post it.
        let raw = Bytes::from_static(b"\x00\x01\x01\x06\x0b12echo:bbinary_size\xff\x02\x03");
        assert_eq!(parse_body(BodyFormat::Single, &raw), Err(BodyError::NotUtf8));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), lines in any::<bool>()) {
            let format = if lines { BodyFormat::Lines } else { BodyFormat::Single };
            let count = parse_body(format, &body.into()).map_or(0, |messages| messages.len());
            prop_assert!(count <= MAX_LINES);
        }
    }

    fn lines(body: &str) -> Result<Vec<Incoming>, BodyError> {
        parse_body(BodyFormat::Lines, &Bytes::copy_from_slice(body.as_bytes()))
    }

    fn text_message(text: &str) -> Incoming {
        Incoming::Text(text.into())
    }
}
