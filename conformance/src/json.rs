//! JSON compared by meaning: numbers by value, keys in any order, the last of duplicate keys.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper values are compared as text.
const MAX_DEPTH: usize = 64;

/// A JSON value with its numbers as decimal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// In a normal form: equal text means equal value.
    Number(String),
    String(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
    /// Too deep to be looked into.
    Opaque(String),
}

impl Json {
    /// Parses a text; `None` if it is not JSON, or has strings that are no Unicode.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        Self::of(raw.get(), MAX_DEPTH)
    }

    fn of(text: &str, depth: usize) -> Option<Self> {
        let text = text.trim();
        let Some(below) = depth.checked_sub(1) else { return Some(Self::Opaque(text.to_owned())) };
        Some(match text.as_bytes().first()? {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => Self::String(serde_json::from_str(text).ok()?),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Self::Array(items.iter().map(|item| Self::of(item.get(), below)).collect::<Option<_>>()?)
            }
            b'{' => {
                let Pairs(pairs) = serde_json::from_str(text).ok()?;
                let pairs = pairs.into_iter().map(|(key, raw)| Some((key, Self::of(raw.get(), below)?)));
                Self::Object(pairs.collect::<Option<_>>()?)
            }
            _ => Self::Number(normal_number(text)),
        })
    }

    /// The value of a key, if this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(key),
            _ => None,
        }
    }

    /// The element of an array.
    pub(crate) fn at(&self, index: usize) -> Option<&Self> {
        match self {
            Self::Array(items) => items.get(index),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// One text for all spellings of the value.
    pub(crate) fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "{value}");
            }
            Self::Number(text) | Self::Opaque(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// `-12.50e1` becomes `-125`, `0.10` becomes `1e-1`: digits without needless zeros, and an exponent where necessary.
fn normal_number(text: &str) -> String {
    let (sign, magnitude) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.parse::<i64>() else { return text.to_owned() };
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let shift = digits.len() as i128 - significant.len() as i128 - fraction.len() as i128;
    let exponent = i128::from(exponent) + shift;
    match usize::try_from(exponent) {
        Ok(zeros @ 0..=30) => format!("{sign}{significant}{}", "0".repeat(zeros)),
        _ => format!("{sign}{significant}e{exponent}"),
    }
}

/// The members of an object in order, duplicates included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        Json::parse(left).unwrap().canonical() == Json::parse(right).unwrap().canonical()
    }

    #[test]
    fn spelling_does_not_matter() {
        assert!(same(r#"{"a":1,"b":[1.0e3]}"#, r#" { "b" : [1000], "a": 1.0 } "#));
        assert!(same(r#"{"a":1,"a":2}"#, r#"{"a":2}"#));
        assert!(same("-0.0", "0"));
        assert!(same("0.10", "1e-1"));
        assert!(same(r#""\u00e9\/""#, r#""é/""#));
    }

    #[test]
    fn meaning_does() {
        assert!(!same("12345678901234567890123", "12345678901234567890124"));
        assert!(!same("1", "\"1\""));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("1e2", "1e3"));
        assert!(!same("{}", "[]"));
    }

    #[test]
    fn what_is_no_json_is_not_parsed() {
        assert_eq!(Json::parse("[1,"), None);
        assert_eq!(Json::parse(r#""\ud800""#), None);
    }
}
