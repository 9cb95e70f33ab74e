use std::fmt;

use crate::{Json, Text};

/// A `ref` or `join_ref`: a JSON value chosen by the client and echoed verbatim (protocol §6).
///
/// Clients send strings and integers; Phoenix echoes any type, so any is kept. A missing reference and
/// `null` are both `None` of an `Option<Ref>`. Two references are equal when type and value are:
/// `7` is not `"7"`, and `"a"` is `"\u0061"`.
#[derive(Clone)]
pub struct Ref(Json);

impl Ref {
    /// The reference that is the given string.
    pub fn string(text: &str) -> Self {
        Self(Json::encode(text).expect("a string is always valid JSON"))
    }

    /// The reference that is the given JSON value, `None` for `null`.
    pub fn from_json(json: Json) -> Option<Self> {
        (!json.is_null()).then_some(Self(json))
    }

    /// The JSON text of the reference, quotes included for a string.
    pub fn as_json(&self) -> &str {
        self.0.as_str()
    }

    /// The form it has in a binary header: the characters of a string, the JSON text of a number or boolean.
    /// Arrays and objects have none.
    pub fn to_text(&self) -> Option<Text> {
        match self.as_json().as_bytes().first() {
            Some(b'[' | b'{') => None,
            _ => Some(self.0.parse::<String>().map_or_else(|_| Text::from(self.as_json()), Text::from)),
        }
    }

    /// A copy that owns exactly its own bytes (see [`Text::detach`]).
    pub fn detach(&self) -> Self {
        Self(self.0.detach())
    }

    /// Whether this is a string without escapes or an integer, so that equal texts are equal values and no
    /// others are.
    fn is_comparable_as_text(&self) -> bool {
        let text = self.as_json();
        if text.starts_with('"') {
            return !text.contains('\\');
        }
        text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    }
}

impl PartialEq for Ref {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || !(self.is_comparable_as_text() && other.is_comparable_as_text())
                && matches!(
                    (self.0.parse::<serde_json::Value>(), other.0.parse::<serde_json::Value>()),
                    (Ok(left), Ok(right)) if left == right
                )
    }
}

impl Eq for Ref {}

impl From<u64> for Ref {
    fn from(number: u64) -> Self {
        Self(Json::trusted(number.to_string().into()))
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(json: &str) -> Ref {
        Ref::from_json(Json::from_text(&json.into()).unwrap()).unwrap()
    }

    #[test]
    fn equality_is_by_type_and_value() {
        assert_eq!(reference("\"a\""), reference("\"\\u0061\""));
        assert_eq!(Ref::string("7"), reference("\"7\""));
        assert_eq!(Ref::from(7), reference("7"));
        assert_eq!(reference("{\"a\":1}"), reference("{ \"a\" : 1 }"));
        for (left, right) in [
            ("7", "\"7\""),
            ("1", "1.0"),
            ("\"1\"", "\"2\""),
            ("true", "\"true\""),
            ("18446744073709551616", "18446744073709551617"),
        ] {
            assert_ne!(reference(left), reference(right));
        }
    }

    #[test]
    fn null_is_no_reference() {
        assert!(Ref::from_json(Json::NULL).is_none());
    }

    #[test]
    fn text_for_binary_headers() {
        assert_eq!(reference("\"a\\n\"").to_text().unwrap(), "a\n");
        assert_eq!(reference("12").to_text().unwrap(), "12");
        assert_eq!(reference("{\"a\":1}").to_text(), None);
        assert_eq!(reference("[1]").to_text(), None);
    }
}
