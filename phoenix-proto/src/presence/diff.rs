use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::entry::Entry;
use super::grouped::{ListedPresences, PresenceDiff, Presences};

/// Who joined and who left one topic by one change, both in listing order.
///
/// An update is a join with the new meta and a leave with the old one. Serialises to the payload of the topic's
/// `presence_diff` (protocol §18).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDiff {
    /// The topic.
    pub topic: Arc<str>,
    /// The entries that are listed from now on.
    pub joins: Vec<Arc<Entry>>,
    /// The entries that are no longer listed.
    pub leaves: Vec<Arc<Entry>>,
}

impl TopicDiff {
    /// The payload of the topic's `presence_diff` as a value that can be added to.
    pub fn to_payload(&self) -> PresenceDiff {
        PresenceDiff {
            joins: Presences::from_entries(&self.joins),
            leaves: Presences::from_entries(&self.leaves),
        }
    }
}

impl Serialize for TopicDiff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut payload = serializer.serialize_struct("PresenceDiff", 2)?;
        payload.serialize_field("joins", &ListedPresences(&self.joins))?;
        payload.serialize_field("leaves", &ListedPresences(&self.leaves))?;
        payload.end()
    }
}

/// Collects the consequences of one fact, topic by topic.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    topics: BTreeMap<Arc<str>, TopicDiff>,
}

impl Changes {
    pub(crate) fn join(&mut self, entry: Arc<Entry>) {
        self.topic(&entry).joins.push(entry);
    }

    pub(crate) fn leave(&mut self, entry: Arc<Entry>) {
        self.topic(&entry).leaves.push(entry);
    }

    fn topic(&mut self, entry: &Entry) -> &mut TopicDiff {
        let topic = &entry.topic;
        let empty = || TopicDiff { topic: Arc::clone(topic), joins: Vec::new(), leaves: Vec::new() };
        self.topics.entry(Arc::clone(topic)).or_insert_with(empty)
    }

    /// The diffs, sorted by topic.
    pub(crate) fn into_diffs(self) -> impl Iterator<Item = TopicDiff> {
        self.topics.into_values().map(|mut diff| {
            diff.joins.sort_by(|a, b| a.listing_order(b));
            diff.leaves.sort_by(|a, b| a.listing_order(b));
            diff
        })
    }
}
