use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{ReplicaChange, ReplicaStatus, TopicDiff, Tracker};
use crate::presence::config::{TrackerConfig, TrackerStart};
use crate::presence::message::{Destination, Message, Outgoing};

/// The start of a node's first life, at some point of a virtual time.
pub(crate) fn start(node: &str) -> TrackerStart {
    TrackerStart { node: node.into(), shard: 0, seed: 1, now: base(), unix_nanos: 1_795_459_584_000_000_000 }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an instant can only be had from the clock; only differences matter"
)]
fn base() -> Instant {
    Instant::now()
}

pub(crate) fn meta(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("a meta is an object")
}

/// Trackers on a network that delivers at once and only fails on request.
pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) config: TrackerConfig,
    nodes: BTreeMap<String, Tracker>,
    /// Who neither hears nor is heard nor ticks.
    suspended: BTreeSet<String>,
    /// Pairs that do not hear each other.
    cut: BTreeSet<(String, String)>,
    /// Every message sent: sender, destination, content.
    pub(crate) sent: Vec<(String, Destination, Message)>,
    pub(crate) diffs: BTreeMap<String, Vec<TopicDiff>>,
    pub(crate) changes: BTreeMap<String, Vec<ReplicaChange>>,
    starts: u64,
}

impl Cluster {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with(names, TrackerConfig::default())
    }

    pub(crate) fn with(names: &[&str], config: TrackerConfig) -> Self {
        let mut cluster = Self {
            now: base(),
            config,
            nodes: BTreeMap::new(),
            suspended: BTreeSet::new(),
            cut: BTreeSet::new(),
            sent: Vec::new(),
            diffs: BTreeMap::new(),
            changes: BTreeMap::new(),
            starts: 0,
        };
        for name in names {
            cluster.start(name);
        }
        cluster
    }

    /// Starts a node, or starts it again without its memory.
    pub(crate) fn start(&mut self, name: &str) {
        self.starts += 1;
        let start = TrackerStart { seed: self.starts, now: self.now, ..start(name) };
        let tracker = Tracker::new(self.config.clone(), &start).expect("the periods fit");
        self.nodes.insert(name.to_owned(), tracker);
        self.suspended.remove(name);
    }

    /// A cluster whose nodes all know each other, with the past forgotten.
    pub(crate) fn connected(names: &[&str]) -> Self {
        let mut cluster = Self::new(names);
        cluster.run(Duration::from_secs(10));
        cluster.forget();
        cluster
    }

    pub(crate) fn forget(&mut self) {
        self.sent.clear();
        self.diffs.clear();
        self.changes.clear();
    }

    pub(crate) fn suspend(&mut self, name: &str) {
        self.suspended.insert(name.to_owned());
    }

    pub(crate) fn resume(&mut self, name: &str) {
        self.suspended.remove(name);
    }

    pub(crate) fn cut(&mut self, a: &str, b: &str) {
        self.cut.extend([(a.to_owned(), b.to_owned()), (b.to_owned(), a.to_owned())]);
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn get(&self, name: &str) -> &Tracker {
        &self.nodes[name]
    }

    /// Does something to a node and delivers what follows.
    pub(crate) fn on<T>(&mut self, name: &str, act: impl FnOnce(&mut Tracker, Instant) -> T) -> T {
        let result = act(self.nodes.get_mut(name).expect("the node exists"), self.now);
        self.deliver(name);
        result
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let awake = self.nodes.iter().filter(|(name, _)| !self.suspended.contains(*name));
            let next = awake.filter_map(|(name, node)| Some((node.poll_timeout()?.0, name.clone()))).min();
            let Some((at, name)) = next.filter(|&(at, _)| at <= end) else { break };
            self.now = self.now.max(at);
            self.on(&name, Tracker::handle_timeout);
        }
        self.now = end;
    }

    fn deliver(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).expect("the node exists");
        self.diffs.entry(name.to_owned()).or_default().extend(std::iter::from_fn(|| node.poll_diff()));
        let changes = std::iter::from_fn(|| node.poll_replica_change());
        self.changes.entry(name.to_owned()).or_default().extend(changes);
        let outgoing: Vec<_> = std::iter::from_fn(|| node.poll_message()).collect();
        for Outgoing { to, message } in outgoing {
            self.sent.push((name.to_owned(), to.clone(), message.clone()));
            let hears = |other: &String| match &to {
                Destination::All => true,
                Destination::Node(node) => **node == **other,
            };
            let receivers: Vec<_> = self.nodes.keys().filter(|other| hears(other)).cloned().collect();
            for receiver in receivers {
                let cut = self.cut.contains(&(name.to_owned(), receiver.clone()));
                if !cut && !self.suspended.contains(&receiver) {
                    let bytes = message.encode();
                    self.on(&receiver, |node, now| node.handle_bytes(&bytes, now));
                }
            }
        }
    }

    /// Topic, joins and leaves of the diffs of a node since the last call, as in `presence_diff`.
    pub(crate) fn payloads(&mut self, name: &str) -> Value {
        let diffs = self.diffs.remove(name).unwrap_or_default();
        diffs
            .iter()
            .map(|diff| json!([&*diff.topic, serde_json::to_value(diff.to_payload()).unwrap()]))
            .collect()
    }

    /// Keys listed in a topic.
    pub(crate) fn keys(&self, name: &str, topic: &str) -> Vec<String> {
        self.get(name).list(topic).iter().map(|entry| entry.key().to_string()).collect()
    }

    /// What a node thinks of another.
    pub(crate) fn status(&self, name: &str, of: &str) -> Option<ReplicaStatus> {
        self.get(name).replicas().find(|(replica, _)| **replica.node() == *of).map(|(_, status)| status)
    }

    /// Sender and receiver of the transfer requests sent.
    pub(crate) fn requests<'a>(&'a self) -> Vec<(&'a str, &'a str)> {
        let request = |(from, to, message): &'a (String, Destination, Message)| match (to, message) {
            (Destination::Node(to), Message::TransferRequest(_)) => Some((from.as_str(), &**to)),
            _ => None,
        };
        self.sent.iter().filter_map(request).collect()
    }
}
