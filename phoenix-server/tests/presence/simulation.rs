//! Three to seven nodes through splits, loss, restarts and deaths in virtual time: once the network is quiet, every node
//! lists the living presences and nothing else, and the diffs its clients got add up to that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use phoenix_server::{LocalCluster, NodeName, PresenceDiff, PresenceOwner, Presences};
use serde_json::json;
use tokio::time::timeout;

use super::support::{Node, let_pass};

const SEEDS: u64 = 12;
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
const KEYS: [&str; 5] = ["alice", "bob", "carol", "dave", "eve"];

#[tokio::test(start_paused = true)]
async fn all_nodes_agree_once_the_network_is_quiet() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.step().await;
        }
        world.loss.store(0, Ordering::Relaxed);
        world.cluster.heal();
        let_pass(Duration::from_secs(120)).await;
        world.check().await;
    }
}

struct World {
    seed: u64,
    random: u64,
    cluster: LocalCluster,
    /// How many of a hundred messages get lost.
    loss: Arc<AtomicU64>,
    nodes: BTreeMap<&'static str, Member>,
}

/// A node, its owners, and the references its clients believe to be there.
struct Member {
    node: Node,
    owners: Vec<PresenceOwner>,
    view: BTreeSet<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let cluster = LocalCluster::new();
        let loss = Arc::new(AtomicU64::new(0));
        let (percent, mut dice) = (Arc::clone(&loss), seed ^ 0xdead);
        cluster.lose_when(move |_, _| next(&mut dice, 100) < percent.load(Ordering::Relaxed));
        let mut world = Self { seed, random: seed, cluster, loss, nodes: BTreeMap::new() };
        let count = 3 + world.below(5);
        for name in &NAMES[..count] {
            world.start(name);
        }
        world
    }

    fn start(&mut self, name: &'static str) {
        let node = Node::start(&self.cluster, name);
        let owners = (0..3).map(|_| node.presence.owner()).collect();
        self.nodes.insert(name, Member { node, owners, view: BTreeSet::new() });
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(next(&mut self.random, count as u64)).unwrap()
    }

    async fn step(&mut self) {
        let pause = 100 + self.below(2_000) as u64;
        let_pass(Duration::from_millis(pause)).await;
        let names: Vec<_> = self.nodes.keys().copied().collect();
        let name = names[self.below(names.len())];
        match self.below(24) {
            0 => {
                let (left, right): (Vec<NodeName>, Vec<NodeName>) =
                    names.iter().map(|&name| NodeName::from(name)).partition(|_| self.below(2) == 0);
                self.cluster.split(&left, &right);
            }
            1 => self.cluster.heal(),
            2 => {
                let percent = 10 * self.below(6) as u64;
                self.loss.store(percent, Ordering::Relaxed);
            }
            3 => {
                self.nodes.remove(name);
                self.start(name);
            }
            4 => {
                self.nodes[name].node.presence.graceful_permdown();
                self.nodes.remove(name);
                self.start(name);
            }
            5 => let_pass(Duration::from_secs(40)).await,
            _ => self.act(name),
        }
        for member in self.nodes.values_mut() {
            member.follow(self.seed).await;
        }
    }

    fn act(&mut self, name: &str) {
        let (owner, key, action) = (self.below(3), KEYS[self.below(KEYS.len())], self.below(6));
        let number = next(&mut self.random, u64::MAX);
        let owner = &mut self.nodes.get_mut(name).unwrap().owners[owner];
        match action {
            0..3 => drop(owner.track("room", key, json!({ "n": number }))),
            3 => drop(owner.update("room", key, json!({ "n": number }))),
            4 => owner.untrack("room", key),
            _ => owner.untrack_all(),
        }
    }

    async fn check(&mut self) {
        let seed = self.seed;
        let mut living = BTreeSet::new();
        for (name, member) in &self.nodes {
            let list = member.node.presence.snapshot("room");
            let own = list.iter().filter(|entry| **entry.replica().node() == **name);
            living.extend(own.map(|entry| entry.meta().phx_ref().unwrap()));
        }
        let mut lists = Vec::new();
        for (name, member) in &mut self.nodes {
            member.follow(seed).await;
            assert_eq!(member.view, living, "seed {seed}: the clients of {name}");
            lists.push(member.node.presence.list("room").await);
        }
        assert!(lists.iter().all(|list| *list == lists[0] && refs(list).eq(lists[0].iter().flat_map(metas))));
        assert_eq!(refs(&lists[0]).collect::<BTreeSet<_>>(), living, "seed {seed}");
    }
}

impl Member {
    /// Does what a client does with the diffs that came.
    async fn follow(&mut self, seed: u64) {
        while let Ok(broadcast) = timeout(Duration::ZERO, self.node.diffs.recv()).await {
            let diff: PresenceDiff = broadcast.unwrap().payload.parse().unwrap();
            for gone in refs(&diff.leaves) {
                assert!(self.view.remove(&gone), "seed {seed}: who is not there cannot leave");
            }
            for new in refs(&diff.joins) {
                assert!(self.view.insert(new), "seed {seed}: nobody joins twice");
            }
        }
    }
}

fn refs(presences: &Presences) -> impl Iterator<Item = String> {
    presences.iter().flat_map(metas)
}

fn metas((_, presence): (&Arc<str>, &phoenix_server::KeyPresence)) -> Vec<String> {
    presence.metas.iter().map(|meta| meta.phx_ref().unwrap()).collect()
}

/// The `SplitMix64` generator: a run must be repeatable from its seed.
fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}
