//! What presences cost in one topic, by how many there are:
//! `cargo run --release -p phoenix-server --example presence_cost`.
//!
//! Every figure is for one presence, next to what it is among 100: a factor that stays near 1 while the topic grows
//! a hundred times is not quadratic in anything.

use std::hint::black_box;
use std::time::{Duration, Instant};

use phoenix_proto::presence::{Owner, Tracker, TrackerConfig, TrackerStart};
use phoenix_server::{Payload, Presence, PresenceOwner, PubSub};
use serde_json::{Map, Value, json};

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// Each figure is the best of so many runs, which is the least disturbed one.
const RUNS: usize = 7;

/// Nanoseconds for one presence.
struct Costs {
    names: Vec<&'static str>,
    nanos: Vec<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tables = SIZES.map(costs);
    print!("| for one presence |");
    for size in SIZES {
        print!(" of {size} |");
    }
    println!("\n|---|{}", "--:|".repeat(SIZES.len()));
    for (row, name) in tables[0].names.iter().enumerate() {
        print!("| {name} |");
        for table in &tables {
            let (nanos, factor) = (table.nanos[row], table.nanos[row] / tables[0].nanos[row]);
            print!(" {nanos:.0} ns, × {factor:.2} |");
        }
        println!();
    }
}

fn costs(size: usize) -> Costs {
    let mut best: Option<Costs> = None;
    for _ in 0..RUNS {
        let run = run(size);
        match &mut best {
            None => best = Some(run),
            Some(best) => {
                best.nanos.iter_mut().zip(run.nanos).for_each(|(best, nanos)| *best = best.min(nanos));
            }
        }
    }
    best.expect("there was a run")
}

fn run(size: usize) -> Costs {
    let mut costs = Costs { names: Vec::new(), nanos: Vec::new() };
    let mut note = |name, elapsed: Duration, count: usize| {
        costs.names.push(name);
        let count = u32::try_from(count).expect("sizes are small");
        costs.nanos.push(elapsed.as_secs_f64() * 1e9 / f64::from(count));
    };

    let pubsub = PubSub::local();
    let presence = Presence::builder("bench").start(&pubsub).expect("the options fit");
    let mut owners: Vec<PresenceOwner> = (0..size).map(|_| presence.owner()).collect();
    let keys: Vec<String> = (0..size).map(|n| format!("user:{}", n * 7_919 % size)).collect();
    let (track, update) = (meta("online"), meta("away"));

    let start = Instant::now();
    for (owner, key) in owners.iter_mut().zip(&keys) {
        owner.track("room", key, &track).expect("it is new");
    }
    note("track", start.elapsed(), size);

    // What a join does: the list is taken, which the next change must not disturb.
    let start = Instant::now();
    let mut snapshots = Vec::new();
    for (owner, key) in owners.iter_mut().zip(&keys).take(1_000) {
        snapshots.push(presence.snapshot("room"));
        owner.update("room", key, &update).expect("it is there");
        if snapshots.len() > 8 {
            snapshots.remove(0);
        }
    }
    note("update while lists are held", start.elapsed(), size.min(1_000));
    drop(snapshots);

    let start = Instant::now();
    for _ in 0..1_000 {
        black_box(presence.snapshot("room"));
    }
    note("taking a list (the whole list)", start.elapsed(), 1_000);

    let start = Instant::now();
    let state = black_box(Payload::from(&presence.snapshot("room")));
    note("presence_state as JSON", start.elapsed(), size);
    assert!(state.len() > 50 * size);

    let start = Instant::now();
    for key in keys.iter().take(1_000) {
        black_box(presence.snapshot("room").of_key(key).count());
    }
    note("looking up a key", start.elapsed(), size.min(1_000));

    replicate(size, &keys, &mut note);

    let _clients = pubsub.subscribe_with_capacity("room", size + 1);
    let start = Instant::now();
    drop(owners);
    note("untrack, with its presence_diff", start.elapsed(), size);
    costs
}

/// From one tracker to another, by its messages.
fn replicate(size: usize, keys: &[String], note: &mut impl FnMut(&'static str, Duration, usize)) {
    let now = Instant::now();
    let tracker = |node: &str| {
        let start = TrackerStart { node: node.into(), shard: 0, seed: 1, now, unix_nanos: 0 };
        Tracker::new(TrackerConfig::default(), &start).expect("the periods fit")
    };
    let (mut here, mut there) = (tracker("here"), tracker("there"));
    for (owner, key) in keys.iter().enumerate() {
        here.track(Owner(owner as u64), "room", key, meta("online"), now).expect("it is new");
    }
    here.handle_timeout(now + Duration::from_secs(1));
    let start = Instant::now();
    let messages: Vec<Vec<u8>> =
        std::iter::from_fn(|| here.poll_message()).map(|outgoing| outgoing.message.encode()).collect();
    note("encoding the delta", start.elapsed(), size);
    let start = Instant::now();
    for message in &messages {
        there.handle_bytes(message, now);
    }
    let diffs: usize =
        std::iter::from_fn(|| there.poll_diff()).map(|diff| black_box(Payload::from(&diff)).len()).sum();
    note("merging it elsewhere, with the presence_diff", start.elapsed(), size);
    assert_eq!((there.list("room").len(), diffs > 50 * size), (size, true));
}

fn meta(status: &str) -> Map<String, Value> {
    let meta = json!({"status": status, "device": "laptop"});
    meta.as_object().cloned().expect("it is one")
}
