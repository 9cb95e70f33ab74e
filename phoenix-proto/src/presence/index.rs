use std::collections::BTreeMap;
use std::sync::Arc;

use super::diff::TopicDiff;
use super::entry::Entry;

/// The visible entries by topic, each topic sorted in listing order.
#[derive(Debug, Default)]
pub(crate) struct TopicIndex {
    topics: BTreeMap<Arc<str>, Vec<Arc<Entry>>>,
}

/// Up to this many changes are made one by one; more are merged in one pass over the topic.
const FEW: usize = 8;

impl TopicIndex {
    pub(crate) fn list(&self, topic: &str) -> &[Arc<Entry>] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn get_by_key(&self, topic: &str, key: &str) -> &[Arc<Entry>] {
        let entries = self.list(topic);
        let start = entries.partition_point(|entry| &*entry.key < key);
        let len = entries[start..].partition_point(|entry| &*entry.key == key);
        &entries[start..start + len]
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
        let entries = self.topics.entry(Arc::clone(&diff.topic)).or_default();
        remove(entries, &diff.leaves);
        insert(entries, &diff.joins);
        if entries.is_empty() {
            self.topics.remove(&diff.topic);
        } else if entries.capacity() > 4 * entries.len().max(4) {
            entries.shrink_to(2 * entries.len());
        }
    }
}

fn remove(entries: &mut Vec<Arc<Entry>>, leaves: &[Arc<Entry>]) {
    if leaves.len() <= FEW {
        for leaving in leaves {
            if let Ok(index) = entries.binary_search_by(|entry| entry.listing_order(leaving)) {
                entries.remove(index);
            }
        }
    } else {
        let mut leaves: Vec<_> = leaves.iter().collect();
        leaves.sort_unstable_by(|a, b| a.listing_order(b));
        entries.retain(|entry| leaves.binary_search_by(|leaving| leaving.listing_order(entry)).is_err());
    }
}

fn insert(entries: &mut Vec<Arc<Entry>>, joins: &[Arc<Entry>]) {
    if joins.len() <= FEW {
        for joining in joins {
            if let Err(index) = entries.binary_search_by(|entry| entry.listing_order(joining)) {
                entries.insert(index, Arc::clone(joining));
            }
        }
    } else {
        entries.extend(joins.iter().cloned());
        entries.sort_by(|a, b| a.listing_order(b));
        entries.dedup_by(|a, b| a.listing_order(b).is_eq());
    }
}
