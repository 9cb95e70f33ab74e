//! Values as text, where the original shows Elixir terms: the same distinctions in another notation.

use std::fmt::Write;

use phoenix_server::Payload;
use serde_json::Value;

/// A payload as text: sorted JSON, or the numbers of its bytes.
pub(super) fn inspect(payload: &Payload) -> String {
    match payload {
        Payload::Json(json) => match json.parse::<Value>() {
            Ok(value) => value.to_string(),
            // Nested deeper than the parser goes.
            Err(_) => json.as_str().to_owned(),
        },
        Payload::Binary(bytes) => {
            let mut text = String::from("<<");
            for (index, byte) in bytes.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(text, "{comma}{byte}");
            }
            text + ">>"
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn different_payloads_look_different() {
        assert_eq!(inspect(&json!({"a": [1, null]}).into()), r#"{"a":[1,null]}"#);
        assert_eq!(inspect(&Payload::Binary(vec![1, 255].into())), "<<1, 255>>");
    }
}
