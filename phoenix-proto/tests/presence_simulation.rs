//! Trackers on a simulated network under virtual time: after partitions, loss, duplication, reordering, restarts and
//! skewed clocks, every node must list the living presences and nothing else.
//!
//! `PRESENCE_SEEDS` sets how many seeds are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phoenix_proto::presence::{
    Destination, Entry, Message, Outgoing, Owner, Tracker, TrackerConfig, TrackerStart, UpdateError,
};
use serde_json::{Map, Value};

const SEEDS: u64 = 2_000;
/// Every so many seeds messages are encoded and decoded.
const ENCODED: u64 = 20;
const TOPICS: [&str; 3] = ["room:1", "room:2", "lobby"];
const KEYS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// A test for each part of the seeds, so that they run side by side.
macro_rules! all_nodes_agree_once_the_network_is_quiet {
    ($($name:ident: $part:literal),*) => {
        $(#[test]
        fn $name() {
            try_seeds($part);
        })*
    };
}

all_nodes_agree_once_the_network_is_quiet!(part_1: 0, part_2: 1, part_3: 2, part_4: 3);

fn try_seeds(part: u64) {
    #[expect(clippy::disallowed_methods, reason = "the length of the test run, not an input of the machine")]
    let seeds = std::env::var("PRESENCE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in (0..seeds).filter(|seed| seed % 4 == part) {
        let mut world = World::new(seed);
        world.chaos(Duration::from_secs(180));
        world.calm(Duration::from_secs(120));
        world.check();
    }
}

/// One listed presence: topic, key, node, owner and the number its meta carries.
type Listed = (String, String, String, u64, u64);

struct World {
    seed: u64,
    random: Random,
    now: Instant,
    config: TrackerConfig,
    nodes: BTreeMap<&'static str, Node>,
    /// Sides of the current partition; nodes on different sides do not hear each other.
    sides: BTreeMap<&'static str, u64>,
    loss_percent: u64,
    in_flight: BTreeMap<(Instant, u64), Parcel>,
    sequence: u64,
}

/// A message on its way.
struct Parcel {
    to: &'static str,
    content: Content,
}

/// A message as it travels. Most seeds leave out the encoding, which is most of the work.
#[derive(Clone)]
enum Content {
    Message(Rc<Message>),
    Bytes(Rc<[u8]>),
}

struct Node {
    tracker: Tracker,
    living: BTreeMap<(u64, &'static str, &'static str), u64>,
    /// What the diffs say, to be compared with the list.
    view: BTreeSet<Listed>,
    skew: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut config = TrackerConfig::default();
        config.permdown_period = Duration::from_secs(60);
        config.max_delta_size = [0, 3, 20, 10_000][random.below(4)];
        config.max_message_bytes = [1, 300, 256 * 1024][random.below(3)];
        let mut world = Self {
            seed,
            now: base(),
            config,
            nodes: BTreeMap::new(),
            sides: BTreeMap::new(),
            loss_percent: 10 * random.next(4),
            in_flight: BTreeMap::new(),
            sequence: 0,
            random,
        };
        let count = 3 + world.random.below(5);
        NAMES[..count].iter().for_each(|name| world.start(name));
        world
    }

    fn start(&mut self, name: &'static str) {
        let skew = self.random.next(1_000_000_000_000_000);
        let seed = self.random.next(u64::MAX);
        let unix_nanos = 1_700_000_000_000_000_000 + skew;
        let start = TrackerStart { node: name.into(), shard: 0, seed, now: self.now, unix_nanos };
        let tracker = Tracker::new(self.config.clone(), &start).expect("the periods fit");
        self.nodes.insert(name, Node { tracker, living: BTreeMap::new(), view: BTreeSet::new(), skew });
    }

    /// Lets time pass while users come and go and everything breaks.
    fn chaos(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let pause = Duration::from_millis(self.random.next(1_500));
            self.run(pause);
            match self.random.next(40) {
                0 => self.partition(),
                1 => self.sides.clear(),
                2 => self.restart(false),
                3 => self.restart(true),
                4 => self.loss_percent = 10 * self.random.next(6),
                // Long enough to be down, or even forgotten.
                5 => self.run(Duration::from_secs(35)),
                6 => self.run(Duration::from_secs(70)),
                _ => self.act(),
            }
        }
    }

    /// Lets time pass on a healthy network.
    fn calm(&mut self, time: Duration) {
        self.sides.clear();
        self.loss_percent = 0;
        self.run(time);
    }

    fn partition(&mut self) {
        let names: Vec<_> = self.nodes.keys().copied().collect();
        self.sides = names.into_iter().map(|name| (name, self.random.next(2))).collect();
    }

    fn restart(&mut self, graceful: bool) {
        let name = self.any_node();
        if graceful {
            let node = self.nodes.get_mut(name).expect("the node exists");
            node.tracker.graceful_permdown();
            self.collect(name);
        }
        self.start(name);
    }

    fn act(&mut self) {
        let name = self.any_node();
        let owner = self.random.next(4);
        let topic = TOPICS[self.random.below(TOPICS.len())];
        let key = KEYS[self.random.below(KEYS.len())];
        let number = self.random.next(1_000_000);
        let place = (owner, topic, key);
        let meta = meta(number);
        let now = self.now;
        let action = self.random.next(8);
        let node = self.nodes.get_mut(name).expect("the node exists");
        match action {
            0..4 => {
                let tracked = node.tracker.track(Owner(owner), topic, key, meta, now);
                assert_eq!(tracked.is_err(), node.living.contains_key(&place));
                node.living.entry(place).or_insert(number);
            }
            4..6 => {
                let updated = node.tracker.update(Owner(owner), topic, key, meta, now);
                let known = node.living.get_mut(&place).map(|known| *known = number);
                assert_eq!(updated.map(drop), known.ok_or(UpdateError::NoPresence));
            }
            6 => {
                node.tracker.untrack(Owner(owner), topic, key);
                node.living.remove(&place);
            }
            _ => {
                node.tracker.untrack_all(Owner(owner));
                node.living.retain(|&(other, _, _), _| other != owner);
            }
        }
        self.collect(name);
    }

    fn any_node(&mut self) -> &'static str {
        let index = self.random.below(self.nodes.len());
        self.nodes.keys().nth(index).expect("the index is in range")
    }

    /// Delivers messages and fires timers in the order of their times.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.in_flight.keys().next().map(|&(at, _)| at);
            let timer = self
                .nodes
                .iter()
                .filter_map(|(&name, node)| Some((node.tracker.poll_timeout()?.0, name)))
                .min();
            let (at, ticking) = match (arrival, timer) {
                (Some(arrival), Some((at, _))) if arrival <= at => (arrival, None),
                (Some(arrival), None) => (arrival, None),
                (_, Some((at, name))) => (at, Some(name)),
                (None, None) => break,
            };
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            let name = if let Some(name) = ticking {
                self.nodes.get_mut(name).expect("the node exists").tracker.handle_timeout(self.now);
                name
            } else {
                let (_, Parcel { to: name, content }) =
                    self.in_flight.pop_first().expect("a message is in flight");
                let tracker = &mut self.nodes.get_mut(name).expect("the node exists").tracker;
                match content {
                    Content::Message(message) => {
                        tracker.handle_message(Rc::unwrap_or_clone(message), self.now);
                    }
                    Content::Bytes(bytes) => tracker.handle_bytes(&bytes, self.now),
                }
                name
            };
            self.collect(name);
        }
        self.now = end;
    }

    /// Takes what a node has to say.
    fn collect(&mut self, name: &'static str) {
        let node = self.nodes.get_mut(name).expect("the node exists");
        while let Some(diff) = node.tracker.poll_diff() {
            assert!(!diff.joins.is_empty() || !diff.leaves.is_empty());
            for entry in &diff.leaves {
                assert!(node.view.remove(&listed(entry)), "seed {}: {entry:?} left twice", self.seed);
            }
            for entry in &diff.joins {
                assert!(node.view.insert(listed(entry)), "seed {}: {entry:?} joined twice", self.seed);
            }
        }
        while node.tracker.poll_replica_change().is_some() {}
        let outgoing: Vec<_> = std::iter::from_fn(|| node.tracker.poll_message()).collect();
        for Outgoing { to, message, .. } in outgoing {
            let receivers: Vec<_> = match &to {
                Destination::All => self.nodes.keys().copied().collect(),
                Destination::Node(node) => NAMES.iter().copied().filter(|name| **name == **node).collect(),
            };
            let content = if (self.seed / 4).is_multiple_of(ENCODED) {
                Content::Bytes(message.encode().into())
            } else {
                Content::Message(Rc::new(message))
            };
            for to in receivers {
                self.post(name, to, &content);
            }
        }
    }

    /// Puts a message on the wire: never, once or twice, each time with its own delay.
    fn post(&mut self, from: &'static str, to: &'static str, content: &Content) {
        let cut = self.sides.get(from) != self.sides.get(to);
        if from != to && (cut || self.random.next(100) < self.loss_percent) {
            return;
        }
        let copies = if self.random.next(20) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            let slow = self.loss_percent > 0 && self.random.next(10) == 0;
            let delay = Duration::from_millis(1 + self.random.next(if slow { 4_000 } else { 30 }));
            self.sequence += 1;
            self.in_flight.insert((self.now + delay, self.sequence), Parcel { to, content: content.clone() });
        }
    }

    fn check(&self) {
        let living: BTreeSet<Listed> = self
            .nodes
            .iter()
            .flat_map(|(&name, node)| {
                let place = move |(&(owner, topic, key), &number): (&(u64, &str, &str), &u64)| {
                    (topic.to_owned(), key.to_owned(), name.to_owned(), owner, number)
                };
                node.living.iter().map(place)
            })
            .collect();
        let mut first: Option<Vec<Arc<Entry>>> = None;
        for (name, node) in &self.nodes {
            let tracker = &node.tracker;
            let list: Vec<Arc<Entry>> = tracker
                .topics()
                .flat_map(|topic| tracker.list(topic).iter().cloned().collect::<Vec<_>>())
                .collect();
            let set: BTreeSet<_> = list.iter().map(|entry| listed(entry)).collect();
            assert_eq!(set.len(), list.len(), "seed {}: {name} (skew {}) lists twice", self.seed, node.skew);
            assert_eq!(set, living, "seed {}: {name} does not list what lives", self.seed);
            assert_eq!(set, node.view, "seed {}: the diffs of {name} do not add up", self.seed);
            assert_eq!(tracker.stats().malformed, 0);
            assert_eq!(*first.get_or_insert_with(|| list.clone()), list, "seed {}: another order", self.seed);
        }
    }
}

fn listed(entry: &Entry) -> Listed {
    let number = entry.meta().to_map()["n"].as_u64().expect("every meta has a number");
    (
        entry.topic().to_string(),
        entry.key().to_string(),
        entry.replica().node().to_string(),
        entry.owner().0,
        number,
    )
}

fn meta(number: u64) -> Map<String, Value> {
    Map::from_iter([("n".to_owned(), number.into())])
}

/// The `SplitMix64` generator: a run must be repeatable from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next(count as u64)).expect("below a usize")
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an instant can only be had from the clock; only differences matter"
)]
fn base() -> Instant {
    Instant::now()
}
