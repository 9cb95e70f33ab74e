use std::collections::BTreeMap;
use std::sync::Arc;

use super::diff::TopicDiff;
use super::listing::TopicList;

/// The visible entries by topic; a topic without any is not in it.
#[derive(Debug, Default)]
pub(crate) struct TopicIndex {
    topics: BTreeMap<Arc<str>, TopicList>,
}

impl TopicIndex {
    pub(crate) fn list(&self, topic: &str) -> TopicList {
        self.topics.get(topic).cloned().unwrap_or_default()
    }

    /// The topics somebody is in, sorted.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.keys()
    }

    /// The stored copy of a topic's name.
    pub(crate) fn shared(&self, topic: &str) -> Option<&Arc<str>> {
        self.topics.get_key_value(topic).map(|(name, _)| name)
    }

    /// Takes out who left and puts in who joined.
    pub(crate) fn apply(&mut self, diff: &TopicDiff) {
        let list = self.topics.entry(Arc::clone(&diff.topic)).or_default();
        diff.leaves.iter().for_each(|entry| list.remove(entry));
        diff.joins.iter().for_each(|entry| list.insert(Arc::clone(entry)));
        if list.is_empty() {
            self.topics.remove(&diff.topic);
        }
    }
}
