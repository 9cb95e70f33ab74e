//! Payloads read the way the original reads them, where that is not how `serde` reads a struct.
//!
//! Values stay JSON text, so that what is passed on keeps its digits.

use std::collections::BTreeMap;

use phoenix_server::{Crash, Payload, PayloadError};
use serde_json::value::RawValue;

/// A JSON value as text.
pub(super) type Term = Box<RawValue>;

/// The fields of a payload that has to be an object.
pub(super) type Fields = BTreeMap<String, Term>;

/// `payload[key]`: nothing in null, an error in what is neither null nor an object.
pub(super) fn at(payload: &Payload, key: &str) -> Result<Option<Term>, PayloadError> {
    let fields: Option<Fields> = payload.parse()?;
    Ok(fields.and_then(|mut fields| fields.remove(key)).filter(|value| value.get() != "null"))
}

/// `payload[key] || …`: false is nothing too.
pub(super) fn truthy(payload: &Payload, key: &str) -> Result<Option<Term>, PayloadError> {
    Ok(at(payload, key)?.filter(|value| value.get() != "false"))
}

/// The clause `%{key => value}` of the handler of an event, which needs an object that has the key.
pub(super) fn matched(payload: &Payload, key: &str, event: &str) -> Result<Term, Crash> {
    let fields: Option<Fields> = payload.parse().ok();
    fields.and_then(|mut fields| fields.remove(key)).ok_or_else(|| Crash::unhandled(event))
}

/// A text as a value.
pub(super) fn text(text: &str) -> Result<Term, serde_json::Error> {
    serde_json::value::to_raw_value(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn get(payload: Value) -> Result<Option<String>, PayloadError> {
        Ok(truthy(&payload.into(), "a")?.map(|value| value.get().to_owned()))
    }

    #[test]
    fn null_has_no_fields_and_other_values_cannot_be_asked() {
        for nothing in [json!(null), json!({}), json!({"a": null}), json!({"a": false})] {
            assert_eq!(get(nothing).unwrap(), None);
        }
        assert_eq!(get(json!({"a": 0})).unwrap().as_deref(), Some("0"));
        for other in [json!([]), json!([1]), json!("a"), json!(1)] {
            assert!(get(other).is_err());
        }
    }

    #[test]
    fn a_clause_needs_the_key_only() {
        assert_eq!(matched(&json!({"a": null}).into(), "a", "e").unwrap().get(), "null");
        for other in [json!({}), json!([1]), json!(null)] {
            assert!(matched(&other.into(), "a", "e").is_err());
        }
    }
}
