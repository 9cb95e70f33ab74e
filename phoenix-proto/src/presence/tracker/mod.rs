use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::FixedState;
use serde_json::{Map, Value};

use super::config::{TrackerConfig, TrackerConfigError, TrackerStart};
use super::diff::{Changes, TopicDiff};
use super::entry::{Entry, Owner, ReplicaRef};
use super::history::History;
use super::index::TopicIndex;
use super::listing::TopicList;
use super::message::{Clocks, Destination, Message, Outgoing};
use super::meta::Meta;
use super::reference::{PhxRef, RefSource};

mod gossip;
mod replicas;

use replicas::Replicas;
pub use replicas::{ReplicaChange, ReplicaStatus};

/// One shard of the replicated presence list (protocol §17).
///
/// Facts go in by `handle_message` and `handle_timeout`, intents by verbs. Out come messages for the other nodes
/// ([`poll_message`](Self::poll_message)), what to publish locally ([`poll_diff`](Self::poll_diff)), what became of
/// the other nodes ([`poll_replica_change`](Self::poll_replica_change)) and when to call again
/// ([`poll_timeout`](Self::poll_timeout)). Poll all of them after every input; what is not polled is kept.
///
/// Diffs tell exactly how [`list`](Self::list) changes: applying them in order to an empty list gives the list.
#[derive(Debug)]
pub struct Tracker {
    config: TrackerConfig,
    own: History,
    replicas: Replicas,
    topics: TopicIndex,
    /// The local entries of each owner, sorted by topic and key.
    owners: BTreeMap<Owner, Vec<Arc<Entry>>>,
    refs: RefSource,
    next_tick: Option<Instant>,
    silent_periods: u32,
    periods_to_sample: u32,
    requests: u64,
    outbox: VecDeque<Outgoing>,
    diffs: VecDeque<TopicDiff>,
    changes: VecDeque<ReplicaChange>,
    stats: TrackerStats,
}

/// What a tracker ignored, counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackerStats {
    /// Messages of another version.
    pub unknown_versions: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Deltas of replicas no heartbeat has come from.
    pub unknown_replicas: u64,
    /// Heartbeats of replicas beyond [`TrackerConfig::max_replicas`].
    pub refused_replicas: u64,
}

/// What a tracker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackerTimeout {
    /// The next tick: heartbeat, transfer requests, detection of silent replicas.
    Tick,
}

/// Why a presence could not be tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The owner has that key in that topic already.
    #[error("already tracked")]
    AlreadyTracked,
    /// The meta exceeds the limit.
    #[error(transparent)]
    MetaTooLarge(#[from] MetaTooLarge),
    /// [`Tracker::graceful_permdown`] was called.
    #[error("the tracker has stopped")]
    Stopped,
}

/// Why a presence could not be updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The owner does not have that key in that topic.
    #[error("no such presence")]
    NoPresence,
    /// The meta exceeds the limit.
    #[error(transparent)]
    MetaTooLarge(#[from] MetaTooLarge),
}

/// A meta exceeds [`TrackerConfig::max_meta_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("meta of {size} bytes exceeds {limit}")]
pub struct MetaTooLarge {
    /// Bytes of JSON, with `phx_ref`.
    pub size: usize,
    /// The limit.
    pub limit: usize,
}

impl Tracker {
    /// Starts a shard. The first tick comes after up to a quarter of the broadcast period, depending on the seed.
    pub fn new(config: TrackerConfig, start: &TrackerStart) -> Result<Self, TrackerConfigError> {
        config.validate()?;
        let quarter = u64::try_from(config.broadcast_period.as_nanos() / 4).unwrap_or(u64::MAX);
        let chance = FixedState::default().hash_one(start.seed);
        let delay = Duration::from_nanos(chance % quarter.saturating_add(1));
        Ok(Self {
            own: History::new(ReplicaRef::starting(start), config.max_delta_size),
            replicas: Replicas::new(&config),
            topics: TopicIndex::default(),
            owners: BTreeMap::new(),
            refs: RefSource::new(start),
            next_tick: Some(start.now + delay),
            silent_periods: config.max_silent_periods,
            periods_to_sample: config.clock_sample_periods,
            requests: 0,
            outbox: VecDeque::new(),
            diffs: VecDeque::new(),
            changes: VecDeque::new(),
            stats: TrackerStats::default(),
            config,
        })
    }

    /// Adds a presence; returns its `phx_ref`, which is also put into the meta. Any `phx_ref` in it is replaced.
    pub fn track(
        &mut self,
        owner: Owner,
        topic: &str,
        key: &str,
        meta: Map<String, Value>,
        now: Instant,
    ) -> Result<PhxRef, TrackError> {
        if self.is_stopped() {
            return Err(TrackError::Stopped);
        }
        if self.find(owner, topic, key).is_some() {
            return Err(TrackError::AlreadyTracked);
        }
        let (phx_ref, since) = self.refs.next(now);
        let meta = stamped(meta, phx_ref, self.config.max_meta_bytes)?;

        let entry = Arc::new(Entry {
            replica: self.own.replica().clone(),
            clock: self.own.next_clock(),
            owner,
            since,
            topic: self.topics.shared(topic).cloned().unwrap_or_else(|| topic.into()),
            key: key.into(),
            meta,
        });
        self.own.add(Arc::clone(&entry));
        let entries = self.owners.entry(owner).or_default();
        let place = entries.partition_point(|other| (&*other.topic, &*other.key) < (topic, key));
        entries.insert(place, Arc::clone(&entry));
        let mut changes = Changes::default();
        changes.join(entry);
        self.publish(changes);
        Ok(phx_ref)
    }

    /// Replaces the meta of a presence: one diff with the new meta joining and the old one leaving. Returns the new
    /// `phx_ref`; the meta also gets the old one as `phx_ref_prev`.
    pub fn update(
        &mut self,
        owner: Owner,
        topic: &str,
        key: &str,
        meta: Map<String, Value>,
        now: Instant,
    ) -> Result<PhxRef, UpdateError> {
        self.update_with(owner, topic, key, |_| meta, now)
    }

    /// Like [`update`](Self::update) with a meta made from the present one.
    pub fn update_with(
        &mut self,
        owner: Owner,
        topic: &str,
        key: &str,
        change: impl FnOnce(Map<String, Value>) -> Map<String, Value>,
        now: Instant,
    ) -> Result<PhxRef, UpdateError> {
        let place = self.find(owner, topic, key).ok_or(UpdateError::NoPresence)?;
        let slot = &mut self.owners.get_mut(&owner).ok_or(UpdateError::NoPresence)?[place];
        let old = Arc::clone(slot);

        let meta = old.meta.to_map();
        let previous = meta.get("phx_ref").cloned().unwrap_or_default();
        let mut meta = change(meta);
        meta.insert("phx_ref_prev".into(), previous);
        let (phx_ref, _) = self.refs.next(now);
        let meta = stamped(meta, phx_ref, self.config.max_meta_bytes)?;

        self.own.remove(old.clock);
        let new = Arc::new(Entry { clock: self.own.next_clock(), meta, ..Entry::clone(&old) });
        self.own.add(Arc::clone(&new));
        *slot = Arc::clone(&new);
        let mut changes = Changes::default();
        changes.join(new);
        changes.leave(old);
        self.publish(changes);
        Ok(phx_ref)
    }

    /// Removes a presence, if it is there.
    pub fn untrack(&mut self, owner: Owner, topic: &str, key: &str) {
        let Some(place) = self.find(owner, topic, key) else { return };
        let Some(entries) = self.owners.get_mut(&owner) else { return };
        let entry = entries.remove(place);
        if entries.is_empty() {
            self.owners.remove(&owner);
        }
        self.own.remove(entry.clock);
        let mut changes = Changes::default();
        changes.leave(entry);
        self.publish(changes);
    }

    /// Removes all presences of an owner, as when it ends: at most one diff for each topic.
    pub fn untrack_all(&mut self, owner: Owner) {
        let mut changes = Changes::default();
        for entry in self.owners.remove(&owner).unwrap_or_default() {
            self.own.remove(entry.clock);
            changes.leave(entry);
        }
        self.publish(changes);
    }

    /// A snapshot of the presences of a topic on all nodes that are up, by key and then oldest first. Those of one key
    /// are its [`of_key`](TopicList::of_key).
    pub fn list(&self, topic: &str) -> TopicList {
        self.topics.list(topic)
    }

    /// The topics with at least one presence, sorted.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.topics()
    }

    /// Stops for good: tells the others to forget this replica at once, and drops everything without diffs.
    pub fn graceful_permdown(&mut self) {
        if self.is_stopped() {
            return;
        }
        let replica = self.own.replica().clone();
        self.send(Destination::All, Message::Permdown(replica.clone()));
        self.next_tick = None;
        self.own = History::new(replica, 0);
        self.replicas = Replicas::new(&self.config);
        self.topics = TopicIndex::default();
        self.owners.clear();
    }

    /// The next message to send.
    #[must_use]
    pub fn poll_message(&mut self) -> Option<Outgoing> {
        self.outbox.pop_front()
    }

    /// The next diff to publish to the subscribers on this node.
    #[must_use]
    pub fn poll_diff(&mut self) -> Option<TopicDiff> {
        self.diffs.pop_front()
    }

    /// The next change of another replica, for logs and metrics.
    #[must_use]
    pub fn poll_replica_change(&mut self) -> Option<ReplicaChange> {
        self.changes.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for. Nothing once stopped.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TrackerTimeout)> {
        self.next_tick.map(|at| (at, TrackerTimeout::Tick))
    }

    /// Who this replica is.
    pub fn replica(&self) -> &ReplicaRef {
        self.own.replica()
    }

    /// The other replicas and their state, sorted by node.
    pub fn replicas(&self) -> impl Iterator<Item = (&ReplicaRef, ReplicaStatus)> {
        self.replicas.iter()
    }

    /// What is known of this replica and of those that are up.
    pub fn clocks(&self) -> Clocks {
        let own = (self.own.replica().clone(), self.own.context());
        std::iter::once(own).chain(self.replicas.clocks()).collect()
    }

    /// What was ignored so far.
    pub fn stats(&self) -> TrackerStats {
        self.stats
    }

    fn is_stopped(&self) -> bool {
        self.next_tick.is_none()
    }

    /// Where among its owner's entries the entry is.
    fn find(&self, owner: Owner, topic: &str, key: &str) -> Option<usize> {
        let position = |entry: &Arc<Entry>| (&*entry.topic, &*entry.key).cmp(&(topic, key));
        self.owners.get(&owner)?.binary_search_by(position).ok()
    }

    fn publish(&mut self, changes: Changes) {
        for diff in changes.into_diffs() {
            self.topics.apply(&diff);
            self.diffs.push_back(diff);
        }
    }

    fn send(&mut self, to: Destination, message: Message) {
        self.outbox.push_back(Outgoing { to, message });
    }
}

/// The meta as it is stored: with its reference, and within the limit.
fn stamped(mut meta: Map<String, Value>, phx_ref: PhxRef, limit: usize) -> Result<Meta, MetaTooLarge> {
    meta.insert("phx_ref".into(), phx_ref.to_string().into());
    let meta = Meta::from(&meta);
    let size = meta.as_str().len();
    if size > limit { Err(MetaTooLarge { size, limit }) } else { Ok(meta) }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
