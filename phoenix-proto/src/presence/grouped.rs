use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::diff::TopicDiff;
use super::entry::Entry;
use super::listing::TopicList;
use super::meta::Meta;
use crate::Payload;

/// All that is known of one key: a meta per owner, oldest first, and whatever the application added
/// (protocol §18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// The metas.
    pub metas: Vec<Meta>,
    /// Further fields, which stand next to `metas` in JSON. A field named `metas` is left out there.
    pub extra: Map<String, Value>,
}

impl Presence {
    /// The presence made of one key's entries, or `None` if there is no entry.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a Arc<Entry>>) -> Option<Self> {
        let metas: Vec<_> = entries.into_iter().map(|entry| entry.meta.clone()).collect();
        (!metas.is_empty()).then(|| Self { metas, extra: Map::new() })
    }
}

/// Presences by key, in the order they came: the payload of `presence_state` (protocol §18).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Presences(pub(crate) IndexMap<Arc<str>, Presence>);

impl Presences {
    /// Groups entries by key. Keys come in the order of their first entry, metas in the order of theirs.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a Arc<Entry>>) -> Self {
        let mut presences = IndexMap::<_, Presence>::new();
        for entry in entries {
            presences.entry(Arc::clone(&entry.key)).or_default().metas.push(entry.meta.clone());
        }
        Self(presences)
    }

    /// The presence of a key.
    pub fn get(&self, key: &str) -> Option<&Presence> {
        self.0.get(key)
    }

    /// The presence of a key, to add to it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Presence> {
        self.0.get_mut(key)
    }

    /// Sets the presence of a key and returns the one it had. A new key comes last.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, presence: Presence) -> Option<Presence> {
        self.0.insert(key.into(), presence)
    }

    /// Takes the presence of a key out.
    pub fn remove(&mut self, key: &str) -> Option<Presence> {
        self.0.shift_remove(key)
    }

    /// Keys and presences in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Presence)> {
        self.0.iter()
    }

    /// Keys and presences in order, to add to them.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Arc<str>, &mut Presence)> {
        self.0.iter_mut()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Arc<str>, Presence)> for Presences {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Presence)>>(presences: I) -> Self {
        Self(presences.into_iter().collect())
    }
}

/// Who joined and who left: the payload of `presence_diff` (protocol §18). Both fields are always written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceDiff {
    /// New metas by key.
    #[serde(default)]
    pub joins: Presences,
    /// Gone metas by key.
    #[serde(default)]
    pub leaves: Presences,
}

impl Serialize for Presence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metas", &self.metas)?;
        for (name, value) in self.extra.iter().filter(|(name, _)| *name != "metas") {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PresenceVisitor)
    }
}

/// Written by hand because a flattened field would parse the metas instead of keeping their text.
struct PresenceVisitor;

impl<'de> Visitor<'de> for PresenceVisitor {
    type Value = Presence;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with metas")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Presence, A::Error> {
        let mut metas = None;
        let mut extra = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "metas" {
                metas = Some(map.next_value()?);
            } else {
                extra.insert(name, map.next_value()?);
            }
        }
        Ok(Presence { metas: metas.ok_or_else(|| A::Error::missing_field("metas"))?, extra })
    }
}

impl From<&Presences> for Payload {
    fn from(presences: &Presences) -> Self {
        encoded(presences)
    }
}

impl From<&PresenceDiff> for Payload {
    fn from(diff: &PresenceDiff) -> Self {
        encoded(diff)
    }
}

impl From<&TopicList> for Payload {
    fn from(list: &TopicList) -> Self {
        encoded(list)
    }
}

impl From<&TopicDiff> for Payload {
    fn from(diff: &TopicDiff) -> Self {
        encoded(diff)
    }
}

fn encoded(presences: &impl Serialize) -> Payload {
    Payload::json(presences).expect("texts and maps with string keys always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pr_07_extras_stand_next_to_the_metas() {
        let json = r#"{"bob":{"metas":[{"phx_ref":"A"}],"user":{"name":"name of bob"}}}"#;
        let presences: Presences = serde_json::from_str(json).unwrap();
        assert_eq!(presences.get("bob").unwrap().extra["user"]["name"], "name of bob");
        assert_eq!(serde_json::to_string(&presences).unwrap(), json);
    }

    #[test]
    fn both_fields_of_a_diff_are_always_written() {
        assert_eq!(serde_json::to_string(&PresenceDiff::default()).unwrap(), r#"{"joins":{},"leaves":{}}"#);
    }

    #[test]
    fn a_presence_without_metas_is_refused() {
        assert!(serde_json::from_str::<Presences>(r#"{"bob":{}}"#).is_err());
        assert!(serde_json::from_str::<Presences>(r#"{"bob":[]}"#).is_err());
    }

    #[test]
    fn an_extra_cannot_replace_the_metas() {
        let mut presence = Presence::default();
        presence.extra.insert("metas".into(), Value::from(1));
        assert_eq!(serde_json::to_string(&presence).unwrap(), r#"{"metas":[]}"#);
    }
}
