use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::Json;

/// What a message carries: a JSON value, kept as validated text, or raw bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A JSON value, in a text frame.
    Json(Json),
    /// Raw bytes, in a binary frame (V2 only).
    Binary(Bytes),
}

/// A payload that does not have the form a callback asked for.
#[derive(Debug, Error)]
pub enum PayloadError {
    /// JSON was expected.
    #[error("the payload is binary, not JSON")]
    Binary,
    /// The JSON has another shape than the type it is read into, or cannot be produced from it.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Payload {
    /// The empty object `{}`, which a reply without a payload carries.
    pub const EMPTY: Self = Self::Json(Json::EMPTY);

    /// Encodes a Rust value as JSON.
    ///
    /// # Errors
    /// Those of its `Serialize` implementation.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Ok(Self::Json(Json::encode(value)?))
    }

    /// Decodes a JSON payload into a Rust type.
    ///
    /// # Errors
    /// [`PayloadError::Binary`] for raw bytes, [`PayloadError::Json`] when the shape does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        match self {
            Self::Json(json) => Ok(json.parse()?),
            Self::Binary(_) => Err(PayloadError::Binary),
        }
    }

    /// The JSON value, if it is one.
    pub fn as_json(&self) -> Option<&Json> {
        match self {
            Self::Json(json) => Some(json),
            Self::Binary(_) => None,
        }
    }

    /// The raw bytes, if it is binary.
    pub fn as_binary(&self) -> Option<&Bytes> {
        match self {
            Self::Json(_) => None,
            Self::Binary(data) => Some(data),
        }
    }

    /// Whether it may be pushed or broadcast: a JSON object or raw bytes (protocol §3).
    pub fn is_pushable(&self) -> bool {
        match self {
            Self::Json(json) => json.is_object(),
            Self::Binary(_) => true,
        }
    }

    /// Length in bytes of the JSON text or the raw bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(json) => json.as_str().len(),
            Self::Binary(data) => data.len(),
        }
    }

    /// Whether there is not a single byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Json> for Payload {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

impl From<serde_json::Value> for Payload {
    fn from(value: serde_json::Value) -> Self {
        Self::Json(value.into())
    }
}

impl From<Bytes> for Payload {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_objects_and_bytes_are_pushable() {
        assert!(Payload::EMPTY.is_pushable());
        assert!(Payload::from(Bytes::new()).is_pushable());
        assert!(!Payload::from(json!([1])).is_pushable());
        assert!(!Payload::from(Value::Null).is_pushable());
    }

    #[test]
    fn parsing_needs_json_of_the_right_shape() {
        assert_eq!(Payload::from(json!({"n": 1})).parse::<Value>().unwrap()["n"], 1);
        assert!(matches!(Payload::from(json!("x")).parse::<u8>(), Err(PayloadError::Json(_))));
        assert!(matches!(Payload::from(Bytes::new()).parse::<u8>(), Err(PayloadError::Binary)));
    }
}
