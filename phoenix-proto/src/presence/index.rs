use std::collections::BTreeMap;
use std::sync::Arc;

use super::diff::TopicDiff;
use super::entry::Entry;

/// The visible entries by topic, each topic sorted in listing order.
#[derive(Debug, Default)]
pub(crate) struct TopicIndex {
    topics: BTreeMap<Arc<str>, Vec<Arc<Entry>>>,
}

/// Up to this many changes are made one by one; more are made in one pass over the topic.
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
    let place = |entries: &[Arc<Entry>], leaving: &Entry| {
        entries.binary_search_by(|entry| entry.listing_order(leaving)).ok()
    };
    if leaves.len() <= FEW {
        for leaving in leaves {
            if let Some(index) = place(entries, leaving) {
                entries.remove(index);
            }
        }
    } else {
        // Leaves are sorted, so their places ascend.
        let places: Vec<_> = leaves.iter().filter_map(|leaving| place(entries, leaving)).collect();
        let mut places = places.into_iter().peekable();
        let mut index = 0..;
        entries.retain(|_| places.next_if_eq(&index.next().unwrap_or_default()).is_none());
    }
}

fn insert(entries: &mut Vec<Arc<Entry>>, joins: &[Arc<Entry>]) {
    let place = |entries: &[Arc<Entry>], joining: &Entry| {
        entries.partition_point(|entry| entry.listing_order(joining).is_lt())
    };
    if joins.len() <= FEW {
        for joining in joins {
            entries.insert(place(entries, joining), Arc::clone(joining));
        }
    } else {
        let places: Vec<_> = joins.iter().map(|joining| place(entries, joining)).collect();
        let mut all = Vec::with_capacity(entries.len() + joins.len());
        let mut old = std::mem::take(entries).into_iter();
        let mut taken = 0;
        // Joins are sorted, so their places ascend.
        for (joining, place) in joins.iter().zip(places) {
            all.extend(old.by_ref().take(place - taken));
            taken = place;
            all.push(Arc::clone(joining));
        }
        all.extend(old);
        *entries = all;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::presence::diff::Changes;
    use crate::presence::entry::{Owner, ReplicaRef};
    use crate::presence::meta::Meta;

    fn entry(number: u64) -> Arc<Entry> {
        Arc::new(Entry {
            replica: ReplicaRef::new("a", 1),
            clock: number,
            owner: Owner(number),
            since: number / 3,
            topic: "t".into(),
            key: format!("k{}", number % 5).into(),
            meta: Meta::from(&Map::new()),
        })
    }

    proptest! {
        #[test]
        fn stays_sorted_and_complete(
            diffs in prop::collection::vec(
                (prop::collection::btree_set(0u64..60, 0..30), prop::collection::btree_set(0u64..60, 0..30)),
                0..12,
            ),
        ) {
            let mut index = TopicIndex::default();
            let mut model = BTreeSet::new();
            for (joins, leaves) in diffs {
                let mut changes = Changes::default();
                leaves.iter().filter(|&number| model.remove(number)).for_each(|&n| changes.leave(entry(n)));
                joins.iter().filter(|&&number| model.insert(number)).for_each(|&n| changes.join(entry(n)));
                changes.into_diffs().for_each(|diff| index.apply(&diff));

                let mut expected: Vec<_> = model.iter().map(|&number| entry(number)).collect();
                expected.sort_by(|a, b| a.listing_order(b));
                prop_assert_eq!(index.list("t"), &expected);
                expected.retain(|entry| &*entry.key == "k2");
                prop_assert_eq!(index.get_by_key("t", "k2"), &expected);
                prop_assert_eq!(index.topics().count(), usize::from(!model.is_empty()));
            }
        }
    }
}
