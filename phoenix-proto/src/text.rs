use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;
use smol_str::SmolStr;

/// A UTF-8 string that is cheap to clone and to cut: up to 23 bytes are kept in place, more are a slice of shared
/// bytes.
///
/// Longer text taken from a received frame keeps that frame's buffer alive. Whatever outlives the frame is
/// therefore [detached](Text::detach) first.
#[derive(Clone)]
pub struct Text(Repr);

/// Topics, events and references are short. Copying them costs less than counting who shares them, and nothing is
/// kept alive by them.
#[derive(Clone)]
enum Repr {
    Short(SmolStr),
    Shared(ByteString),
}

/// What [`SmolStr`] keeps in place.
const SHORT: usize = 23;

impl Text {
    /// Text of a string constant, without an allocation.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Shared(ByteString::from_static(text)))
    }

    /// Takes over bytes that must be UTF-8.
    ///
    /// # Errors
    /// The position of the first invalid sequence when they are not.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        ByteString::try_from(bytes).map(Self::from)
    }

    /// The text as a string slice.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Short(text) => text,
            Repr::Shared(text) => text,
        }
    }

    /// The part of this text that `part` points to, sharing its bytes unless it is short.
    ///
    /// # Panics
    /// If `part` is not a slice of this very text.
    #[inline]
    pub fn slice_ref(&self, part: &str) -> Self {
        match &self.0 {
            Repr::Shared(text) if part.len() > SHORT => Self(Repr::Shared(text.slice_ref(part))),
            _ => Self(Repr::Short(part.into())),
        }
    }

    /// A copy that owns exactly its own bytes, so that it does not pin the buffer it was cut from.
    pub fn detach(&self) -> Self {
        match &self.0 {
            Repr::Short(_) => self.clone(),
            Repr::Shared(text) => Self::from(&**text),
        }
    }

    /// The bytes of the text, shared unless it is short.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Short(text) => Bytes::copy_from_slice(text.as_bytes()),
            Repr::Shared(text) => text.into_bytes(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from_static("")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.len() > SHORT {
            Self(Repr::Shared(ByteString::from(text.to_owned())))
        } else {
            Self(Repr::Short(text.into()))
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.len() > SHORT { Self(Repr::Shared(text.into())) } else { Self(Repr::Short(text.into())) }
    }
}

impl From<ByteString> for Text {
    fn from(text: ByteString) -> Self {
        if text.len() > SHORT { Self(Repr::Shared(text)) } else { Self(Repr::Short((&*text).into())) }
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_slices_share_and_others_do_not() {
        let frame = Text::from("[\"room:1\",\"room:with a name of more than 23 bytes\"]".to_owned());
        let long = frame.slice_ref(&frame[11..48]);
        assert_eq!(long, "room:with a name of more than 23 bytes"[..37]);
        assert_eq!(long.as_ptr(), frame[11..].as_ptr());
        assert_ne!(long.detach().as_ptr(), long.as_ptr());
        let short = frame.slice_ref(&frame[2..8]);
        assert_eq!(short, "room:1");
        assert_ne!(short.as_ptr(), frame[2..].as_ptr());
    }

    #[test]
    fn short_text_has_no_memory_of_its_own() {
        let short = Text::from("x".repeat(SHORT));
        assert!(matches!(&short.0, Repr::Short(text) if !text.is_heap_allocated()));
        assert!(matches!(Text::from("x".repeat(SHORT + 1)).0, Repr::Shared(_)));
        assert_eq!(size_of::<Text>(), size_of::<Bytes>());
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert!(Text::from_utf8(Bytes::from_static(b"a\xff")).is_err());
    }
}
