//! JSON that is validated once and then carried around as text.

mod scan;
mod token;

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Text;
pub use scan::SyntaxError;
pub(crate) use scan::{Kind, Scanner, Span};
pub(crate) use token::plain_end;

/// One JSON value as validated text, never re-encoded on its way through.
///
/// The accepted language is that of the server Phoenix uses (protocol §4.4): RFC 8259, with lone
/// surrogate escapes and numbers beyond the range of a double refused. Nesting is not limited,
/// because nothing here recurses; [`Json::parse`] into a Rust type is limited by `serde_json` to 128 levels.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Text);

impl Json {
    /// The empty object `{}`.
    pub const EMPTY: Self = Self(Text::from_static("{}"));
    /// The value `null`.
    pub const NULL: Self = Self(Text::from_static("null"));

    /// Validates text as one JSON value; surrounding white space is allowed and dropped.
    ///
    /// # Errors
    /// [`SyntaxError`] with the byte offset of the first problem.
    pub fn from_text(text: &Text) -> Result<Self, SyntaxError> {
        let mut scanner = Scanner::new(text);
        let span = scanner.value()?;
        scanner.end()?;
        Ok(Self(text.slice_ref(span.of(text))))
    }

    /// Encodes a Rust value.
    ///
    /// # Errors
    /// Those of its `Serialize` implementation, for instance for a map whose keys are not strings.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }

    /// Decodes the text into a Rust type.
    ///
    /// # Errors
    /// When the value does not have the shape of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// A copy that owns exactly its own bytes (see [`Text::detach`]).
    pub fn detach(&self) -> Self {
        Self(self.0.detach())
    }

    /// The bytes of the text, shared.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// A constant that this crate knows to be valid.
    pub(crate) const fn constant(text: &'static str) -> Self {
        Self(Text::from_static(text))
    }

    /// Takes text that this crate has just validated.
    pub(crate) fn trusted(text: Text) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(self.as_str()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    if plain_end(text.as_bytes(), 0) == text.len() {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("writing a string to memory cannot fail");
    }
}
