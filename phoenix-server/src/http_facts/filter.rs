use serde_json::{Map, Value};

/// Which parameters are shown in logs (protocol §25, FEATURES O6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParamFilter {
    /// Hides values whose name contains one of these texts, and every text that contains one of them followed by `=`,
    /// as in `a=1&password=x`.
    Discard(Vec<String>),
    /// Hides all values but those under one of these names, which are shown with everything in them.
    Keep(Vec<String>),
}

const FILTERED: &str = "[FILTERED]";

impl Default for ParamFilter {
    /// Hides what has `password` or `token` in its name.
    fn default() -> Self {
        Self::Discard(vec!["password".to_owned(), "token".to_owned()])
    }
}

impl ParamFilter {
    /// A copy in which hidden values are replaced by `"[FILTERED]"`.
    pub fn apply(&self, params: &Value) -> Value {
        match self {
            Self::Discard(names) => discard(params, names),
            Self::Keep(names) => keep(params, names),
        }
    }
}

fn discard(value: &Value, names: &[String]) -> Value {
    let hidden = |name: &str| names.iter().any(|part| name.contains(part.as_str()));
    match value {
        Value::Object(map) => {
            map_entries(map, |name, value| if hidden(name) { FILTERED.into() } else { discard(value, names) })
        }
        Value::Array(items) => items.iter().map(|item| discard(item, names)).collect(),
        Value::String(text) if names.iter().any(|name| contains_assignment(text, name)) => FILTERED.into(),
        other => other.clone(),
    }
}

fn keep(value: &Value, names: &[String]) -> Value {
    let shown = |name: &str| names.iter().any(|kept| kept == name);
    match value {
        Value::Object(map) => {
            map_entries(map, |name, value| if shown(name) { value.clone() } else { keep(value, names) })
        }
        Value::Array(items) if !items.is_empty() => items.iter().map(|item| keep(item, names)).collect(),
        _ => FILTERED.into(),
    }
}

fn map_entries(map: &Map<String, Value>, change: impl Fn(&str, &Value) -> Value) -> Value {
    Value::Object(map.iter().map(|(name, value)| (name.clone(), change(name, value))).collect())
}

fn contains_assignment(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| text[at + name.len()..].starts_with('='))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_contain_a_text_are_hidden() {
        assert_eq!(
            ParamFilter::default().apply(&json!({
                "foo": "bar", "password": "x", "new_password": {"a": 1}, "token_id": 7, "Token": "shown",
                "list": [{"password": "x", "foo": 1}, "text", null], "nested": {"my_token": true, "n": 1.5},
            })),
            json!({
                "foo": "bar", "password": "[FILTERED]", "new_password": "[FILTERED]", "token_id": "[FILTERED]", "Token": "shown",
                "list": [{"password": "[FILTERED]", "foo": 1}, "text", null], "nested": {"my_token": "[FILTERED]", "n": 1.5},
            })
        );
    }

    #[test]
    fn texts_with_an_assignment_are_hidden() {
        let filter = ParamFilter::Discard(vec!["secret".to_owned()]);
        for (text, hidden) in [
            ("a=1&secret=x&b=2", true),
            ("secret=", true),
            ("my secret is secret=x", true),
            ("%&secret=", true),
            ("secret", false),
            ("a secret is no secret: it has no equals sign", false),
            ("password=x", false),
        ] {
            let shown = filter.apply(&json!({"value": text, "list": [text]}));
            let expected = if hidden { FILTERED } else { text };
            assert_eq!(shown, json!({"value": expected, "list": [expected]}));
        }
    }

    #[test]
    fn a_list_of_kept_names_hides_the_rest() {
        let filter = ParamFilter::Keep(vec!["foo".to_owned()]);
        assert_eq!(
            filter.apply(&json!({
                "foo": {"a": [1, {"b": "secret=x"}]}, "bar": "x", "food": 1, "empty": [], "none": null,
                "list": [{"foo": 1, "bar": 2}, 3], "nested": {"foo": [], "bar": {"foo": "x"}},
            })),
            json!({
                "foo": {"a": [1, {"b": "secret=x"}]}, "bar": "[FILTERED]", "food": "[FILTERED]", "empty": "[FILTERED]", "none": "[FILTERED]",
                "list": [{"foo": 1, "bar": "[FILTERED]"}, "[FILTERED]"], "nested": {"foo": [], "bar": {"foo": "x"}},
            })
        );
    }
}
