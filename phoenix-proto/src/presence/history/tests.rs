use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::presence::entry::Owner;
use crate::presence::meta::Meta;

const PLENTY: usize = 1_000;

fn history(max: usize) -> History {
    History::new(ReplicaRef::new("a", 1), max)
}

fn add(history: &mut History) -> u64 {
    let clock = history.next_clock();
    history.add(Arc::new(Entry {
        replica: history.replica().clone(),
        clock,
        owner: Owner(clock),
        since: clock,
        topic: "t".into(),
        key: "k".into(),
        meta: Meta::from(&Map::new()),
    }));
    clock
}

fn alive(history: &History) -> Vec<u64> {
    history.values().map(|entry| entry.clock).collect()
}

fn clocks(entries: &[Arc<Entry>]) -> Vec<u64> {
    entries.iter().map(|entry| entry.clock).collect()
}

/// The delta a heartbeat would carry.
fn news(history: &mut History) -> ReplicaDelta {
    let delta = history.since(history.sealed()).expect("something changed");
    history.seal();
    delta
}

#[test]
fn ts_03_a_merge_reports_joins_and_removes_once() {
    let (mut own, mut copy) = (history(PLENTY), history(PLENTY));
    let first = add(&mut own);
    let second = add(&mut own);
    let joined = news(&mut own);
    assert_eq!(clocks(&copy.merge(&joined).joins), [first, second]);
    let again = copy.merge(&joined);
    assert!(again.joins.is_empty() && again.leaves.is_empty());

    own.remove(first);
    let removed = news(&mut own);
    assert_eq!(removed.dead, [first]);
    assert_eq!(clocks(&copy.merge(&removed).leaves), [first]);
    assert!(copy.merge(&removed).leaves.is_empty());
    assert!(copy.merge(&joined).joins.is_empty(), "what was seen dead stays dead");
    assert_eq!(alive(&copy), [second]);
}

#[test]
fn ts_12_a_gap_stays_visible_in_the_context_until_it_is_filled() {
    let (mut own, mut copy) = (history(PLENTY), history(PLENTY));
    add(&mut own);
    let first = news(&mut own);
    add(&mut own);
    let second = news(&mut own);
    assert_eq!(clocks(&copy.merge(&second).joins), [2]);
    assert_eq!(copy.context(), 0);
    assert_eq!(copy.since(0), None);
    assert_eq!(clocks(&copy.merge(&first).joins), [1]);
    assert_eq!(copy.context(), 2);
}

#[test]
fn ts_15_a_concurrent_add_wins_over_an_observed_remove() {
    let (mut own, mut copy) = (history(PLENTY), history(PLENTY));
    let old = add(&mut own);
    copy.merge(&news(&mut own));
    own.remove(old);
    let removed = news(&mut own);
    let new = add(&mut own);
    let added = news(&mut own);
    copy.merge(&added);
    copy.merge(&removed);
    assert_eq!(alive(&copy), [new]);
}

#[test]
fn td_01_the_past_is_bounded_and_forgets_the_oldest_first() {
    let mut own = history(4);
    for _ in 0..10 {
        add(&mut own);
        own.seal();
    }
    assert_eq!(own.since(6).map(|delta| (delta.start, delta.values.len())), Some((6, 4)));
    assert_eq!(own.since(5).map(|delta| (delta.start, delta.values.len())), Some((0, 10)));
}

#[test]
fn td_01_deaths_between_two_seals_beyond_the_bound_lead_to_everything() {
    let mut own = history(4);
    let dots: Vec<_> = (0..6).map(|_| add(&mut own)).collect();
    own.seal();
    let keep = dots[5];
    dots[..5].iter().for_each(|&dot| own.remove(dot));
    let delta = own.since(6).unwrap();
    assert_eq!((delta.start, delta.dead.len(), clocks(&delta.values)), (0, 0, vec![keep]));
    own.seal();
    add(&mut own);
    assert_eq!(own.since(own.sealed()).unwrap().start, 11, "after a seal deltas are possible again");
}

#[test]
fn td_02_knowledge_ahead_of_a_gap_is_no_place_to_cut() {
    let (mut own, mut relay, mut late) = (history(PLENTY), history(PLENTY), history(PLENTY));
    let doomed = add(&mut own);
    let first = news(&mut own);
    add(&mut own);
    let second = news(&mut own);
    own.remove(doomed);
    let third = news(&mut own);

    relay.merge(&first);
    relay.merge(&third);
    relay.merge(&second);
    late.merge(&first);
    late.merge(&second);
    late.merge(&relay.since(late.context()).unwrap());
    assert_eq!(alive(&late), alive(&own));
}

#[test]
fn td_04_without_a_past_everything_is_sent() {
    let mut own = history(0);
    add(&mut own);
    own.seal();
    add(&mut own);
    own.seal();
    assert_eq!(own.since(1).map(|delta| (delta.start, delta.end)), Some((0, 2)));
}

#[test]
fn td_05_the_smallest_fulfilling_delta_is_chosen() {
    let mut own = history(PLENTY);
    for _ in 0..3 {
        add(&mut own);
        add(&mut own);
        own.seal();
    }
    let span = |clock| own.since(clock).map(|delta| (delta.start, delta.end));
    assert_eq!(span(5), Some((4, 6)));
    assert_eq!(span(4), Some((4, 6)));
    assert_eq!(span(3), Some((2, 6)));
    assert_eq!(span(0), Some((0, 6)));
}

#[test]
fn td_07_a_delta_that_starts_after_what_is_known_is_not_chosen() {
    let mut own = history(PLENTY);
    let doomed = add(&mut own);
    own.seal();
    own.remove(doomed);
    own.seal();
    let mut late = history(PLENTY);
    let delta = own.since(late.context()).unwrap();
    assert_eq!(delta.start, 0, "not at a seal that the other has not reached");
    late.merge(&delta);
    assert_eq!((late.context(), alive(&late)), (own.context(), vec![]));
}

#[test]
fn ts_14_two_deltas_know_together_what_both_know() {
    let (mut own, mut copy) = (history(PLENTY), history(PLENTY));
    let first = add(&mut own);
    let one = news(&mut own);
    let second = add(&mut own);
    own.remove(first);
    let other = news(&mut own);
    copy.merge(&other);
    copy.merge(&one);
    assert_eq!((alive(&copy), copy.context()), (vec![second], own.context()));
}

#[test]
fn td_06_nothing_is_sent_when_nothing_is_missing() {
    let mut own = history(PLENTY);
    assert_eq!(own.since(0), None);
    add(&mut own);
    assert_eq!(own.since(1), None);
    assert_eq!(own.since(7), None);
}

#[test]
fn a_split_delta_merges_in_any_order() {
    let mut own = history(PLENTY);
    let mut copy = history(PLENTY);
    let doomed = add(&mut own);
    copy.merge(&news(&mut own));
    for _ in 0..9 {
        add(&mut own);
    }
    own.remove(doomed);
    let parts = own.since(1).unwrap().split(200);
    assert!(parts.len() > 2);
    for part in parts.iter().rev() {
        copy.merge(part);
    }
    assert_eq!((alive(&copy), copy.context()), (alive(&own), own.context()));
}

#[test]
fn a_lost_part_of_a_split_delta_leaves_a_gap() {
    let mut own = history(PLENTY);
    for _ in 0..9 {
        add(&mut own);
    }
    let mut parts = own.since(0).unwrap().split(200);
    let lost = parts.remove(1);
    let mut copy = history(PLENTY);
    for part in &parts {
        copy.merge(part);
    }
    assert_eq!(copy.context() + 1, lost.values[0].clock);
    copy.merge(&own.since(copy.context()).unwrap());
    assert_eq!((alive(&copy), copy.context()), (alive(&own), own.context()));
}

#[test]
fn hostile_numbers_do_not_panic() {
    let mut copy = history(PLENTY);
    for (start, end, until) in [(u64::MAX, u64::MAX, 0), (u64::MAX, 0, u64::MAX), (5, 2, 0), (3, u64::MAX, 1)]
    {
        copy.merge(&ReplicaDelta {
            replica: copy.replica().clone(),
            start,
            end,
            until,
            dead: vec![0, u64::MAX, 7, 7],
            kept: vec![9, u64::MAX],
            values: vec![],
        });
        copy.since(0);
        copy.since(u64::MAX);
    }
}

/// One step of a replica's life, or of the deltas about it travelling between others.
#[derive(Clone, Debug)]
enum Step {
    Add,
    Remove(usize),
    Seal,
    /// Somebody cuts a delta for some clock, possibly in parts.
    Cut {
        from: usize,
        clock: u64,
        split: bool,
    },
    /// Somebody merges one of the deltas cut so far.
    Merge {
        to: usize,
        delta: usize,
    },
}

const NODES: usize = 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => Just(Step::Seal),
        4 => (0..NODES, any::<u64>(), any::<bool>())
            .prop_map(|(from, clock, split)| Step::Cut { from, clock, split }),
        4 => (1..NODES, any::<usize>()).prop_map(|(to, delta)| Step::Merge { to, delta }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Plays the steps; the first history is the replica's own.
fn live(steps: &[Step], max: usize) -> (Vec<History>, Vec<ReplicaDelta>) {
    let mut nodes: Vec<_> = (0..NODES).map(|_| history(max)).collect();
    let mut deltas = Vec::new();
    for step in steps {
        match *step {
            Step::Add => _ = add(&mut nodes[0]),
            Step::Remove(pick) => {
                let alive = alive(&nodes[0]);
                if !alive.is_empty() {
                    nodes[0].remove(alive[pick % alive.len()]);
                }
            }
            Step::Seal => nodes[0].seal(),
            Step::Cut { from, clock, split } => {
                let from = &nodes[from];
                let delta = from.since(clock % (from.context() + 1));
                let budget = if split { 150 } else { usize::MAX };
                deltas.extend(delta.into_iter().flat_map(|delta| delta.split(budget)));
            }
            Step::Merge { to, delta } => {
                if !deltas.is_empty() {
                    nodes[to].merge(&deltas[delta % deltas.len()]);
                }
            }
        }
    }
    (nodes, deltas)
}

fn merged<'a>(deltas: impl IntoIterator<Item = &'a ReplicaDelta>) -> (Vec<u64>, Dots) {
    let mut copy = history(PLENTY);
    for delta in deltas {
        copy.merge(delta);
    }
    (alive(&copy), copy.seen)
}

fn bounds() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0usize), Just(3), Just(PLENTY)]
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        steps in steps(),
        max in bounds(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let (_, deltas) = live(&steps, max);
        if !deltas.is_empty() {
            let expected = merged(&deltas);
            prop_assert_eq!(merged(deltas.iter().rev()), expected.clone());
            // A random sequence with repetitions, then every one again.
            let shuffled = order.iter().map(|index| index.get(&deltas));
            prop_assert_eq!(merged(shuffled.chain(&deltas)), expected);
        }
    }

    #[test]
    fn whoever_knows_all_can_complete_the_next(steps in steps(), max in bounds()) {
        let (mut nodes, _) = live(&steps, max);
        for next in 1..NODES {
            let (known, rest) = nodes.split_at_mut(next);
            if let Some(delta) = known[next - 1].since(rest[0].context()) {
                rest[0].merge(&delta);
            }
            prop_assert_eq!(rest[0].context(), known[0].context());
            prop_assert_eq!(alive(&rest[0]), alive(&known[0]));
        }
    }
}
