use phoenix_proto::Payload;
use serde_json::Value;

/// What an assertion expects of a payload (FEATURES M16–M21).
///
/// * `()`: nothing.
/// * a [`Value`]: that it is part of the payload, as a pattern in Elixir: maps may have more keys, everything else has
///   to be equal.
/// * a [`Payload`]: that it is equal, JSON as a value.
/// * a function: that it returns `true`.
pub trait PayloadMatch {
    /// Whether a payload is what is expected.
    fn matches(&self, payload: &Payload) -> bool;
}

impl PayloadMatch for () {
    fn matches(&self, _: &Payload) -> bool {
        true
    }
}

impl PayloadMatch for Value {
    fn matches(&self, payload: &Payload) -> bool {
        payload.parse().is_ok_and(|payload| is_part(self, &payload))
    }
}

impl PayloadMatch for Payload {
    fn matches(&self, payload: &Payload) -> bool {
        match (self.parse::<Value>(), payload.parse::<Value>()) {
            (Ok(expected), Ok(payload)) => expected == payload,
            _ => self == payload,
        }
    }
}

impl<F: Fn(&Payload) -> bool> PayloadMatch for F {
    fn matches(&self, payload: &Payload) -> bool {
        self(payload)
    }
}

fn is_part(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::Object(expected), Value::Object(value)) => {
            expected.iter().all(|(name, part)| value.get(name).is_some_and(|value| is_part(part, value)))
        }
        (Value::Array(expected), Value::Array(value)) => {
            expected.len() == value.len()
                && expected.iter().zip(value).all(|(part, value)| is_part(part, value))
        }
        _ => expected == value,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_patterns() {
        let payload = Payload::from(json!({"a": 1, "b": {"c": [1, {"d": 2, "e": 3}]}}));
        for (expected, matches) in [
            (json!({}), true),
            (json!({"a": 1}), true),
            (json!({"a": 2}), false),
            (json!({"x": null}), false),
            (json!({"b": {"c": [1, {"d": 2}]}}), true),
            (json!({"b": {"c": [1]}}), false),
            (json!([]), false),
        ] {
            assert_eq!(expected.matches(&payload), matches, "{expected}");
        }
        assert!(!json!({}).matches(&Payload::from(Bytes::from_static(b"{}"))));
    }

    #[test]
    fn payloads_are_equal_or_not() {
        let payload = Payload::from(json!({"a": 1, "b": 2}));
        assert!(Payload::from(json!({"b": 2, "a": 1})).matches(&payload));
        assert!(!Payload::from(json!({"a": 1})).matches(&payload));
        let binary = |bytes: &'static [u8]| Payload::from(Bytes::from_static(bytes));
        assert!(binary(b"a").matches(&binary(b"a")));
        assert!(!binary(b"a").matches(&binary(b"b")));
        assert!(!binary(b"{}").matches(&Payload::EMPTY));
    }
}
