use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::delta::ReplicaDelta;
use super::dots::Dots;
use super::entry::{Entry, ReplicaRef};

/// What is known of one replica: its living entries, the dots seen, and the recent past to cut deltas from.
///
/// Invariant: whenever nothing is known ahead of the context (`context >= horizon`), the entries are exactly those the
/// replica itself had at that clock. Only there the past is *sealed*, so a delta may start at every seal: all that
/// lived then and died since is recorded.
#[derive(Debug)]
pub(crate) struct History {
    replica: ReplicaRef,
    seen: Dots,
    values: BTreeMap<u64, Arc<Entry>>,
    /// Up to which clock deaths are known.
    horizon: u64,
    past: Past,
}

/// Who appeared and who disappeared by a merge.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) joins: Vec<Arc<Entry>>,
    pub(crate) leaves: Vec<Arc<Entry>>,
}

impl History {
    /// A history without any change; `max_past` bounds what is kept for deltas.
    pub(crate) fn new(replica: ReplicaRef, max_past: usize) -> Self {
        let past = Past { max: max_past, ..Past::default() };
        Self { replica, seen: Dots::default(), values: BTreeMap::new(), horizon: 0, past }
    }

    pub(crate) fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    /// The clock up to which nothing is missing.
    pub(crate) fn context(&self) -> u64 {
        self.seen.context()
    }

    /// The clock of the last seal.
    pub(crate) fn sealed(&self) -> u64 {
        self.past.sealed
    }

    /// All living entries, also those of a replica that is down.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.values.values()
    }

    /// The dot a local addition will have.
    pub(crate) fn next_clock(&self) -> u64 {
        self.context() + 1
    }

    /// A local addition; its clock must be [`next_clock`](Self::next_clock).
    pub(crate) fn add(&mut self, entry: Arc<Entry>) {
        debug_assert_eq!(entry.clock, self.next_clock(), "a local entry takes the next dot");
        self.values.insert(entry.clock, entry);
        self.step();
    }

    /// A local removal, a change of its own.
    pub(crate) fn remove(&mut self, clock: u64) {
        if self.values.remove(&clock).is_some() {
            self.past.record(clock);
            self.step();
        }
    }

    fn step(&mut self) {
        let clock = self.context();
        self.seen.cover_one(clock + 1);
        self.horizon = clock + 1;
    }

    /// Allows deltas to start at the present clock, if nothing is known ahead of it.
    pub(crate) fn seal(&mut self) {
        if self.context() >= self.horizon {
            self.past.seal(self.context());
        }
    }

    /// Takes over what `delta` knows. Order, repetition and gaps do not matter.
    pub(crate) fn merge(&mut self, delta: &ReplicaDelta) -> Merged {
        let until = delta.until.max(delta.end);
        let last = delta.values.last().map_or(0, |entry| entry.clock);
        if until.max(last) <= self.context() {
            return Merged::default();
        }
        let leaves = self.bury(delta);
        let joins = self.adopt(delta);
        self.cover(delta);
        self.horizon = self.horizon.max(until);
        self.seal();
        Merged { joins, leaves }
    }

    /// Removes the entries whose dots `delta` knows but no longer holds.
    fn bury(&mut self, delta: &ReplicaDelta) -> Vec<Arc<Entry>> {
        let survives = |dot: &u64| {
            let values = &delta.values;
            values.binary_search_by_key(dot, |entry| entry.clock).is_ok()
                || delta.kept.binary_search(dot).is_ok()
        };
        let mut dots = delta.dead.clone();
        if let Some(first) = delta.start.checked_add(1)
            && first <= delta.end
        {
            dots.extend(
                self.values.range(first..=delta.end).map(|(&dot, _)| dot).filter(|dot| !survives(dot)),
            );
        }
        let mut leaves = Vec::new();
        for dot in dots {
            if let Some(entry) = self.values.remove(&dot) {
                self.past.record(dot);
                leaves.push(entry);
            }
        }
        leaves
    }

    /// Inserts the entries of `delta` whose dots were never seen.
    fn adopt(&mut self, delta: &ReplicaDelta) -> Vec<Arc<Entry>> {
        let mut joins = Vec::new();
        for entry in &delta.values {
            if !self.seen.contains(entry.clock) {
                self.seen.cover_one(entry.clock);
                self.values.insert(entry.clock, Arc::clone(entry));
                joins.push(Arc::clone(entry));
            }
        }
        joins
    }

    /// Notes the dots of `delta` as seen, except those whose entries are in a part that has not come.
    fn cover(&mut self, delta: &ReplicaDelta) {
        let mut start = delta.start;
        for &dot in delta.kept.iter().filter(|&&dot| delta.start < dot && dot <= delta.end) {
            if !self.seen.contains(dot) {
                self.seen.cover(start, dot - 1);
                start = dot;
            }
        }
        self.seen.cover(start, delta.end);
        for &dot in &delta.dead {
            self.seen.cover_one(dot);
        }
    }

    /// Replaces the stored copy of an entry by an equal one, to share its strings.
    pub(crate) fn replace(&mut self, entry: &Arc<Entry>) {
        if let Some(stored) = self.values.get_mut(&entry.clock) {
            *stored = Arc::clone(entry);
        }
    }

    /// The smallest delta for someone who knows this history up to `clock`; nothing if that is all there is.
    pub(crate) fn since(&self, clock: u64) -> Option<ReplicaDelta> {
        let end = self.context();
        if clock >= end {
            return None;
        }
        let (start, dead) = self.past.since(clock).unwrap_or_default();
        Some(ReplicaDelta {
            replica: self.replica.clone(),
            start,
            end,
            until: self.horizon.max(end),
            dead,
            kept: Vec::new(),
            values: self.values.range(start + 1..=end).map(|(_, entry)| Arc::clone(entry)).collect(),
        })
    }
}

/// The deaths between consecutive seals, oldest first: every suffix is the tombstones of a delta generation.
#[derive(Debug, Default)]
struct Past {
    segments: VecDeque<Segment>,
    sealed: u64,
    /// Deaths since the last seal, of dots up to it.
    pending: Vec<u64>,
    /// Deaths were dropped, so no delta can be cut before the next seal.
    overflown: bool,
    size: usize,
    max: usize,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    dead: Vec<u64>,
}

impl Past {
    fn record(&mut self, dot: u64) {
        if dot > self.sealed || self.overflown {
            return;
        }
        if self.pending.len() < self.max {
            self.pending.push(dot);
        } else {
            self.forget();
            self.overflown = true;
        }
    }

    fn seal(&mut self, clock: u64) {
        if clock <= self.sealed {
            return;
        }
        if !self.overflown {
            let dead = std::mem::take(&mut self.pending);
            self.size += 1 + dead.len();
            self.segments.push_back(Segment { start: self.sealed, dead });
        }
        self.overflown = false;
        self.sealed = clock;
        while self.size > self.max
            && let Some(oldest) = self.segments.pop_front()
        {
            self.size -= 1 + oldest.dead.len();
        }
    }

    /// Where a delta for `clock` starts, and which dots up to there died since; `None` if that was forgotten.
    fn since(&self, clock: u64) -> Option<(u64, Vec<u64>)> {
        if self.overflown {
            return None;
        }
        if clock >= self.sealed {
            return Some((self.sealed, self.pending.clone()));
        }
        let first = self.segments.partition_point(|segment| segment.start <= clock).checked_sub(1)?;
        let start = self.segments[first].start;
        let dead = self.segments.range(first..).flat_map(|segment| &segment.dead).chain(&self.pending);
        Some((start, dead.copied().filter(|&dot| dot <= start).collect()))
    }

    fn forget(&mut self) {
        self.segments.clear();
        self.pending.clear();
        self.size = 0;
    }
}

#[cfg(test)]
mod tests;
