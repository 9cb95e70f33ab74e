use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::presence::config::TrackerConfig;
use crate::presence::diff::Changes;
use crate::presence::entry::ReplicaRef;
use crate::presence::history::History;
use crate::presence::message::Clocks;

/// Whether another replica counts as alive (protocol §17.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaStatus {
    /// Its heartbeats come; its presences are listed.
    Up,
    /// It is silent; its presences are kept but hidden.
    Down,
}

/// What became of another replica.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaChange {
    /// Its first heartbeat, or the first after it was down.
    Up(ReplicaRef),
    /// It has been silent for the down period, or ended.
    Down(ReplicaRef),
    /// It is forgotten: silent for the permdown period, ended, or replaced by a new start of its node.
    Permdown(ReplicaRef),
}

/// The registry of the other replicas: one start of each node.
#[derive(Debug)]
pub(super) struct Replicas {
    by_node: BTreeMap<Arc<str>, Replica>,
    max: usize,
    max_past: usize,
    down_period: Duration,
    permdown_period: Duration,
}

#[derive(Debug)]
struct Replica {
    history: History,
    status: ReplicaStatus,
    last_heartbeat: Instant,
    /// What its last heartbeat said it knows.
    sample: Clocks,
}

/// The registry has no room for another node.
#[derive(Debug)]
pub(super) struct Full;

/// The consequences of one fact: what became of replicas, and of the presences they hold.
#[derive(Debug, Default)]
pub(super) struct Transition {
    pub(super) replicas: Vec<ReplicaChange>,
    pub(super) presences: Changes,
}

impl Replicas {
    pub(super) fn new(config: &TrackerConfig) -> Self {
        Self {
            by_node: BTreeMap::new(),
            max: config.max_replicas,
            max_past: config.max_delta_size,
            down_period: config.effective_down_period(),
            permdown_period: config.permdown_period,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ReplicaRef, ReplicaStatus)> {
        self.by_node.values().map(|replica| (replica.history.replica(), replica.status))
    }

    pub(super) fn clocks(&self) -> impl Iterator<Item = (ReplicaRef, u64)> {
        let up = self.by_node.values().filter(|replica| replica.status == ReplicaStatus::Up);
        up.map(|replica| (replica.history.replica().clone(), replica.history.context()))
    }

    /// The history of exactly this start of the node, and its status.
    pub(super) fn get(&self, of: &ReplicaRef) -> Option<(&History, ReplicaStatus)> {
        let replica = self.by_node.get(of.node())?;
        (replica.history.replica() == of).then_some((&replica.history, replica.status))
    }

    pub(super) fn get_mut(&mut self, of: &ReplicaRef) -> Option<(&mut History, ReplicaStatus)> {
        let replica = self.by_node.get_mut(of.node())?;
        (replica.history.replica() == of).then_some((&mut replica.history, replica.status))
    }

    /// A heartbeat came. Another start of the same node ends the one known.
    pub(super) fn heard(&mut self, from: &ReplicaRef, now: Instant) -> Result<Transition, Full> {
        let mut transition = Transition::default();
        if self.get(from).is_none() {
            if let Some(old) = self.by_node.remove(from.node()) {
                old.forget(&mut transition);
            }
            if self.by_node.len() >= self.max {
                return Err(Full);
            }
            let history = History::new(from.clone(), self.max_past);
            let (status, sample) = (ReplicaStatus::Down, Clocks::default());
            let replica = Replica { history, status, last_heartbeat: now, sample };
            self.by_node.insert(Arc::clone(from.node()), replica);
        }
        if let Some(replica) = self.by_node.get_mut(from.node()) {
            replica.last_heartbeat = now;
            replica.up(&mut transition);
        }
        Ok(transition)
    }

    /// The replica announced its end.
    pub(super) fn ended(&mut self, replica: &ReplicaRef) -> Transition {
        let mut transition = Transition::default();
        if self.get(replica).is_some()
            && let Some(replica) = self.by_node.remove(replica.node())
        {
            replica.forget(&mut transition);
        }
        transition
    }

    /// Time has passed: silent replicas go down, long silent ones are forgotten.
    pub(super) fn detect_downs(&mut self, now: Instant) -> Transition {
        let mut transition = Transition::default();
        self.by_node.retain(|_, replica| {
            let silence = now.saturating_duration_since(replica.last_heartbeat);
            if silence > self.down_period {
                replica.down(&mut transition);
            }
            let keep = silence <= self.permdown_period;
            if !keep {
                transition.replicas.push(ReplicaChange::Permdown(replica.history.replica().clone()));
            }
            keep
        });
        transition
    }

    /// Remembers what a replica says it knows.
    pub(super) fn sample(&mut self, of: &ReplicaRef, clocks: Clocks) {
        if let Some(replica) = self.by_node.get_mut(of.node()) {
            replica.sample = clocks;
        }
    }

    /// Whom to ask for what we missed: of those who know more, the ones nobody else outdoes.
    pub(super) fn transfer_targets(&self) -> Vec<Arc<str>> {
        let up = self.by_node.iter().filter(|(_, replica)| replica.status == ReplicaStatus::Up);
        let offers: Vec<_> = up
            .map(|(node, replica)| (node, self.news_in(&replica.sample)))
            .filter(|(_, news)| !news.0.is_empty())
            .collect();
        let outdone = |index: usize| {
            let (_, news) = &offers[index];
            offers.iter().enumerate().any(|(other, (_, more))| {
                other != index && more.dominates(news) && (other < index || !news.dominates(more))
            })
        };
        let targets = (0..offers.len()).filter(|&index| !outdone(index));
        targets.map(|index| Arc::clone(offers[index].0)).collect()
    }

    /// The clocks that are ahead of ours, of replicas that are up. The others would not help: their data is ignored
    /// or hidden.
    fn news_in(&self, sample: &Clocks) -> Clocks {
        let ahead = |replica: &ReplicaRef, clock: u64| {
            self.get(replica)
                .is_some_and(|(history, status)| status == ReplicaStatus::Up && history.context() < clock)
        };
        let news = sample.0.iter().filter(|&(replica, &clock)| ahead(replica, clock));
        news.map(|(replica, &clock)| (replica.clone(), clock)).collect()
    }
}

impl Replica {
    fn up(&mut self, transition: &mut Transition) {
        if self.status == ReplicaStatus::Down {
            self.status = ReplicaStatus::Up;
            transition.replicas.push(ReplicaChange::Up(self.history.replica().clone()));
            self.history.values().cloned().for_each(|entry| transition.presences.join(entry));
        }
    }

    fn down(&mut self, transition: &mut Transition) {
        if self.status == ReplicaStatus::Up {
            self.status = ReplicaStatus::Down;
            transition.replicas.push(ReplicaChange::Down(self.history.replica().clone()));
            self.history.values().cloned().for_each(|entry| transition.presences.leave(entry));
        }
    }

    fn forget(mut self, transition: &mut Transition) {
        self.down(transition);
        transition.replicas.push(ReplicaChange::Permdown(self.history.replica().clone()));
    }
}
