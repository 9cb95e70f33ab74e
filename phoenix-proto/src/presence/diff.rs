use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::entry::{Entry, ReplicaRef};
use super::grouped::{PresenceDiff, Presences};
use super::listing::serialize_grouped;

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

    /// Adds the diff that follows on the same topic, so that this one tells both: who came and went in between is not
    /// told at all.
    pub fn then(&mut self, next: Self) {
        let Self { topic: _, joins, leaves } = next;
        let known: BTreeSet<Dot<'_>> = self.joins.iter().map(dot).collect();
        let (untold, leaves): (Vec<_>, Vec<_>) =
            leaves.into_iter().partition(|entry| known.contains(&dot(entry)));
        let known: BTreeSet<Dot<'_>> = self.leaves.iter().map(dot).collect();
        let (back, joins): (Vec<_>, Vec<_>) =
            joins.into_iter().partition(|entry| known.contains(&dot(entry)));
        drop(known);
        forget(&mut self.joins, &untold);
        forget(&mut self.leaves, &back);
        self.joins.extend(joins);
        self.leaves.extend(leaves);
        self.sort();
    }

    fn sort(&mut self) {
        self.joins.sort_by(|a, b| a.listing_order(b));
        self.leaves.sort_by(|a, b| a.listing_order(b));
    }
}

/// What tells an entry from all others.
type Dot<'a> = (&'a ReplicaRef, u64);

fn dot(entry: &Arc<Entry>) -> Dot<'_> {
    (&entry.replica, entry.clock)
}

fn forget(entries: &mut Vec<Arc<Entry>>, gone: &[Arc<Entry>]) {
    let gone: BTreeSet<Dot<'_>> = gone.iter().map(dot).collect();
    entries.retain(|entry| !gone.contains(&dot(entry)));
}

impl Serialize for TopicDiff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut payload = serializer.serialize_struct("PresenceDiff", 2)?;
        payload.serialize_field("joins", &Grouped(&self.joins))?;
        payload.serialize_field("leaves", &Grouped(&self.leaves))?;
        payload.end()
    }
}

struct Grouped<'a>(&'a [Arc<Entry>]);

impl Serialize for Grouped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_grouped(self.0.iter(), serializer)
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
            diff.sort();
            diff
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::presence::entry::Owner;
    use crate::presence::listing::TopicList;
    use crate::presence::meta::Meta;

    fn entry(clock: u64) -> Arc<Entry> {
        Arc::new(Entry {
            replica: ReplicaRef::new("a", 1),
            clock,
            owner: Owner(clock),
            since: clock,
            topic: "t".into(),
            key: format!("k{}", clock % 3).into(),
            meta: Meta::from(&Map::new()),
        })
    }

    proptest! {
        #[test]
        fn diffs_that_were_put_together_lead_to_the_same_list(
            flips in prop::collection::vec(prop::collection::btree_set(0u64..12, 0..6), 1..8),
            first in 0usize..8,
        ) {
            let (mut one_by_one, mut together) = (TopicList::default(), TopicList::default());
            let apply = |list: &mut TopicList, diff: &TopicDiff| {
                for entry in &diff.leaves {
                    prop_assert!(list.iter().any(|listed| listed == entry), "only who is listed leaves");
                    list.remove(entry);
                }
                for entry in &diff.joins {
                    prop_assert!(!list.iter().any(|listed| listed == entry), "only who is not listed joins");
                    list.insert(Arc::clone(entry));
                }
                Ok(())
            };
            let mut sum: Option<TopicDiff> = None;
            for (index, flips) in flips.into_iter().enumerate() {
                let mut changes = Changes::default();
                for entry in flips.into_iter().map(entry) {
                    let listed = one_by_one.iter().any(|listed| *listed == entry);
                    if listed { changes.leave(entry) } else { changes.join(entry) }
                }
                let Some(diff) = changes.into_diffs().next() else { continue };
                apply(&mut one_by_one, &diff)?;
                if index < first {
                    apply(&mut together, &diff)?;
                } else if let Some(sum) = &mut sum {
                    sum.then(diff);
                } else {
                    sum = Some(diff);
                }
            }
            if let Some(sum) = sum {
                prop_assert!(sum.joins.is_sorted_by(|a, b| a.listing_order(b).is_le()));
                apply(&mut together, &sum)?;
            }
            prop_assert_eq!(together, one_by_one);
        }
    }
}
