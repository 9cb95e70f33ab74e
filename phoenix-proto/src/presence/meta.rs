use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// One meta of a presence: a JSON object, kept as its text and shared by reference count.
///
/// Ten thousand presences cost their text, not ten thousand parsed trees; listing and replicating copies the text.
/// Parse on demand with [`Meta::to_map`] or [`Meta::parse`]. Equality compares the text.
#[derive(Clone)]
pub struct Meta(Arc<RawValue>);

impl Meta {
    /// The JSON text, always an object.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The fields of the object.
    pub fn to_map(&self) -> Map<String, Value> {
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }

    /// The object as a type of the application; fails when the fields do not fit it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// The `phx_ref` that identifies this meta, if it has one that is a string.
    pub fn phx_ref(&self) -> Option<String> {
        self.identity().and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// The JSON token of `phx_ref`; two metas are the same presence when it is equal (protocol §23).
    pub(crate) fn identity(&self) -> Option<&RawValue> {
        #[derive(Deserialize)]
        struct Identity<'a> {
            #[serde(borrow)]
            phx_ref: &'a RawValue,
        }
        serde_json::from_str::<Identity<'_>>(self.as_str()).ok().map(|identity| identity.phx_ref)
    }
}

impl From<&Map<String, Value>> for Meta {
    fn from(map: &Map<String, Value>) -> Self {
        let raw = to_raw_value(map).expect("a map with string keys always serialises");
        Self(Arc::from(raw))
    }
}

impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Meta {}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Meta {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(D::Error::custom("a meta must be a JSON object"));
        }
        Ok(Self(Arc::from(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_and_refuses_anything_but_objects() {
        let meta: Meta = serde_json::from_str(r#"{"phx_ref":"a\u0062","n":1}"#).unwrap();
        assert_eq!(serde_json::to_string(&meta).unwrap(), r#"{"phx_ref":"a\u0062","n":1}"#);
        assert_eq!(meta.phx_ref().as_deref(), Some("ab"));
        assert_eq!(meta.to_map()["n"], 1);
        for bad in ["[]", "1", "null", "\"x\"", "{"] {
            assert!(serde_json::from_str::<Meta>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_meta_without_usable_phx_ref_has_none() {
        for text in ["{}", r#"{"phx_ref":7}"#, r#"{"phx_ref":null}"#] {
            assert_eq!(serde_json::from_str::<Meta>(text).unwrap().phx_ref(), None, "{text}");
        }
    }
}
