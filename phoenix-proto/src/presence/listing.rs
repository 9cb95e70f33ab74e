use std::fmt;
use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use super::entry::Entry;

/// The presences of one topic at one moment, by key and then oldest first: what
/// [`Tracker::list`](super::Tracker::list) gives.
///
/// A snapshot: it costs a reference count, however many presences there are, and does not change any more. Serialises to
/// the payload of `presence_state` (protocol §18) without building [`Presences`](super::Presences).
#[derive(Clone, Default)]
pub struct TopicList {
    /// Sorted, none empty, none longer than [`MAX_CHUNK`]; shared with the snapshots, and copied when written to while
    /// one is alive.
    chunks: Arc<Vec<Arc<Vec<Arc<Entry>>>>>,
    len: usize,
}

/// What a change copies at most if a snapshot is alive, next to one pointer for each chunk.
const MAX_CHUNK: usize = 128;

impl TopicList {
    /// How many presences there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The presences in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The presences of one key, oldest first.
    pub fn of_key(&self, key: &str) -> impl Iterator<Item = &Arc<Entry>> + Clone {
        let (chunk, index) = self.partition_point(|entry| &*entry.key < key);
        let first = self.chunks.get(chunk).map_or(&[][..], |chunk| &chunk[index..]);
        let rest = self.chunks.get(chunk + 1..).unwrap_or_default();
        let entries = first.iter().chain(rest.iter().flat_map(|chunk| chunk.iter()));
        entries.take_while(move |entry| &*entry.key == key)
    }

    /// Puts an entry into its place.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) {
        let (chunk, index) = self.partition_point(|other| other.listing_order(&entry).is_lt());
        let chunks = Arc::make_mut(&mut self.chunks);
        self.len += 1;
        let at = chunk.min(chunks.len().saturating_sub(1));
        let Some(last) = chunks.get_mut(at) else {
            chunks.push(Arc::new(vec![entry]));
            return;
        };
        let entries = Arc::make_mut(last);
        // Beyond the last chunk means at its end.
        let index = if at == chunk { index } else { entries.len() };
        entries.insert(index, entry);
        if entries.len() > MAX_CHUNK {
            let upper = entries.split_off(entries.len() / 2);
            entries.shrink_to_fit();
            chunks.insert(at + 1, Arc::new(upper));
        }
    }

    /// Takes an entry out, if it is there.
    pub(crate) fn remove(&mut self, entry: &Entry) {
        let (at, index) = self.partition_point(|other| other.listing_order(entry).is_lt());
        let found = self.chunks.get(at).and_then(|chunk| chunk.get(index));
        if !found.is_some_and(|found| found.listing_order(entry).is_eq()) {
            return;
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = Arc::make_mut(&mut chunks[at]);
        entries.remove(index);
        self.len -= 1;
        if entries.is_empty() {
            chunks.remove(at);
        } else if entries.len() <= MAX_CHUNK / 4 {
            if entries.capacity() > 2 * entries.len().max(4) {
                entries.shrink_to_fit();
            }
            // Two small neighbours become one, so that the number of chunks stays in proportion.
            let left = at.saturating_sub(1);
            if left + 1 < chunks.len() && chunks[left].len() + chunks[left + 1].len() <= MAX_CHUNK / 2 {
                let right = chunks.remove(left + 1);
                Arc::make_mut(&mut chunks[left]).extend(right.iter().cloned());
            }
        }
    }

    /// The chunk and the index in it of the first entry for which `before` does not hold; beyond the last chunk if it
    /// holds for all.
    fn partition_point(&self, before: impl Fn(&Entry) -> bool) -> (usize, usize) {
        let last = |chunk: &[Arc<Entry>]| chunk.last().is_some_and(|entry| before(entry));
        let chunk = self.chunks.partition_point(|chunk| last(chunk));
        let index = self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(|entry| before(entry)));
        (chunk, index)
    }
}

/// Writes entries, which must be in listing order, as a map from key to metas.
pub(crate) fn serialize_grouped<'a, S: Serializer>(
    entries: impl Iterator<Item = &'a Arc<Entry>> + Clone,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    let mut rest = entries;
    while let Some(first) = rest.clone().next() {
        let count = rest.clone().take_while(|entry| entry.key == first.key).count();
        map.serialize_entry(&first.key, &OneKey(rest.clone().take(count)))?;
        rest.nth(count - 1);
    }
    map.end()
}

/// The entries of one key as `{"metas": […]}`.
struct OneKey<I>(I);

impl<'a, I: Iterator<Item = &'a Arc<Entry>> + Clone> Serialize for OneKey<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut presence = serializer.serialize_struct("Presence", 1)?;
        presence.serialize_field("metas", &Metas(self.0.clone()))?;
        presence.end()
    }
}

struct Metas<I>(I);

impl<'a, I: Iterator<Item = &'a Arc<Entry>> + Clone> Serialize for Metas<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone().map(|entry| &entry.meta))
    }
}

impl Serialize for TopicList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_grouped(self.iter(), serializer)
    }
}

impl PartialEq for TopicList {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for TopicList {}

impl fmt::Debug for TopicList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
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
        fn stays_sorted_complete_and_in_proportion(
            steps in prop::collection::vec((0u64..600, 0u64..300, any::<bool>()), 0..12),
        ) {
            let mut list = TopicList::default();
            let mut model = BTreeSet::new();
            for (from, count, joins) in steps {
                let snapshot = list.clone();
                let before = snapshot.iter().map(|entry| entry.clock).collect::<Vec<_>>();
                for number in from..from + count {
                    if !joins {
                        list.remove(&entry(number));
                        model.remove(&number);
                    } else if model.insert(number) {
                        list.insert(entry(number));
                    }
                }
                let mut expected: Vec<_> = model.iter().map(|&number| entry(number)).collect();
                expected.sort_by(|a, b| a.listing_order(b));
                prop_assert!(list.iter().eq(&expected));
                prop_assert_eq!(list.len(), expected.len());
                expected.retain(|entry| &*entry.key == "k2");
                prop_assert!(list.of_key("k2").eq(&expected));
                prop_assert_eq!(list.of_key("k").count() + list.of_key("l").count(), 0);

                prop_assert!(snapshot.iter().map(|entry| entry.clock).eq(before), "a snapshot stays as it was");
                prop_assert!(list.chunks.iter().all(|chunk| (1..=MAX_CHUNK).contains(&chunk.len())));
                prop_assert!(list.chunks.len() <= 1 + list.len() / (MAX_CHUNK / 8), "{}", list.chunks.len());
            }
        }
    }
}
