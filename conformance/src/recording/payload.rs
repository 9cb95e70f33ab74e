//! Bytes as a recording keeps them: whole, or abbreviated when they are large.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Payloads above this size are abbreviated in a recording.
pub const ABBREVIATE_ABOVE: usize = 16 * 1024;

/// How many bytes of a large payload are kept: text and binary.
const TEXT_HEAD: usize = 200;
const BINARY_HEAD: usize = 96;

/// What is known of the bytes of a frame or an HTTP body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// All of the bytes.
    Whole(Bytes),
    /// Length, digest and first bytes of a payload over [`ABBREVIATE_ABOVE`].
    Abbreviated(Abbreviated),
}

/// Length, digest and first bytes of a large payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abbreviated {
    /// Number of bytes of the payload.
    pub length: usize,
    /// SHA-256 of the payload in lower-case hexadecimal digits.
    pub sha256: String,
    /// The first bytes.
    pub head: Bytes,
}

impl Payload {
    /// A payload without bytes.
    pub const EMPTY: Self = Self::Whole(Bytes::new());

    /// What a recording keeps of these bytes: all, or an abbreviation above [`ABBREVIATE_ABOVE`].
    pub fn abbreviate(bytes: Bytes) -> Self {
        if bytes.len() <= ABBREVIATE_ABOVE {
            return Self::Whole(bytes);
        }
        let head = if std::str::from_utf8(&bytes).is_ok() { TEXT_HEAD } else { BINARY_HEAD };
        Self::Abbreviated(Abbreviated {
            length: bytes.len(),
            sha256: digest(&bytes),
            head: bytes.slice(..head),
        })
    }

    /// Number of bytes of the payload itself, abbreviated or not.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Abbreviated(short) => short.length,
        }
    }

    /// Whether the payload has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, unless they are abbreviated.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Abbreviated(_) => None,
        }
    }

    /// The bytes as text, unless they are abbreviated or not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.whole()?).ok()
    }

    /// The complete bytes: an abbreviated payload is rebuilt and proven by its digest.
    ///
    /// Large payloads are padding: the head, its last byte again and again, and the end of a JSON message or nothing.
    /// Whatever was not built that way cannot be rebuilt and gives `None`.
    pub fn rebuild(&self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::Abbreviated(short) => ["", "\"}]", "\"}}"]
                .iter()
                .filter_map(|tail| pad(&short.head, tail.as_bytes(), short.length))
                .find(|candidate| digest(candidate) == short.sha256),
        }
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Self::Whole(Bytes::from_static(text.as_bytes()))
    }
}

/// Builds a payload of `length` bytes: `head`, repetitions of its last byte, `tail`.
pub(crate) fn pad(head: &[u8], tail: &[u8], length: usize) -> Option<Bytes> {
    let middle = length.checked_sub(head.len() + tail.len())?;
    let mut bytes = head.to_vec();
    bytes.extend(std::iter::repeat_n(*head.last()?, middle));
    bytes.extend_from_slice(tail);
    Some(bytes.into())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}
