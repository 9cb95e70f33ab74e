//! Intents on one node, and the payloads they lead to.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::fixtures::{Cluster, meta, start};
use super::super::*;
use crate::presence::{Presence, Presences};

const ALICE: Owner = Owner(1);
const BOB: Owner = Owner(2);

fn lone() -> Cluster {
    Cluster::new(&["a"])
}

fn track(cluster: &mut Cluster, owner: Owner, topic: &str, key: &str) -> PhxRef {
    cluster.on("a", |node, now| node.track(owner, topic, key, Map::new(), now)).unwrap()
}

fn state(cluster: &Cluster, topic: &str) -> Value {
    let list = cluster.get("a").list(topic);
    let state = serde_json::to_value(Presences::from_entries(list.iter())).unwrap();
    assert_eq!(state, serde_json::to_value(&list).unwrap());
    state
}

#[test]
fn ts_01_a_fresh_tracker_is_empty() {
    let cluster = lone();
    let node = cluster.get("a");
    assert_eq!((node.list("room:1").len(), node.topics().count(), node.replicas().count()), (0, 0, 0));
    assert_eq!(node.clocks(), [(node.replica().clone(), 0)].into_iter().collect());
}

#[test]
fn pr_06_track_and_untrack_all_tell_one_diff_each() {
    let mut cluster = lone();
    let joined = cluster
        .on("a", |node, now| node.track(ALICE, "room:1", "alice", meta(&json!({"device": "laptop"})), now))
        .unwrap();
    let alice = json!({"alice": {"metas": [{"device": "laptop", "phx_ref": joined.to_string()}]}});
    assert_eq!(cluster.payloads("a"), json!([["room:1", {"joins": alice, "leaves": {}}]]));
    assert_eq!(state(&cluster, "room:1"), alice);
    cluster.on("a", |node, _| node.untrack_all(ALICE));
    assert_eq!(cluster.payloads("a"), json!([["room:1", {"joins": {}, "leaves": alice}]]));
    assert_eq!(state(&cluster, "room:1"), json!({}));
}

#[test]
fn pr_12_tr2_09_an_update_is_one_diff_and_chains_the_refs() {
    let mut cluster = lone();
    let first = track(&mut cluster, BOB, "room:1", "bob").to_string();
    cluster.forget();
    let update = |node: &mut Tracker, now| {
        node.update(BOB, "room:1", "bob", meta(&json!({"status": "s1"})), now).unwrap().to_string()
    };
    let second = cluster.on("a", update);
    let s1 = json!({"metas": [{"phx_ref": second, "phx_ref_prev": first, "status": "s1"}]});
    assert_eq!(
        cluster.payloads("a"),
        json!([["room:1", {"joins": {"bob": s1}, "leaves": {"bob": {"metas": [{"phx_ref": first}]}}}]])
    );

    let third = cluster.on("a", |node, now| {
        let add = |mut meta: Map<String, Value>| {
            meta.insert("more".into(), 1.into());
            meta
        };
        node.update_with(BOB, "room:1", "bob", add, now).unwrap().to_string()
    });
    let more = json!({"metas": [{"more": 1, "phx_ref": third, "phx_ref_prev": second, "status": "s1"}]});
    assert_eq!(cluster.payloads("a"), json!([["room:1", {"joins": {"bob": more}, "leaves": {"bob": s1}}]]));
    assert_eq!(state(&cluster, "room:1"), json!({"bob": more}));
}

#[test]
fn pr_05_ts_08_get_by_key_returns_all_metas_of_the_key() {
    let mut cluster = lone();
    let laptop = track(&mut cluster, ALICE, "room:1", "alice").to_string();
    let phone = track(&mut cluster, BOB, "room:1", "alice").to_string();
    track(&mut cluster, BOB, "room:1", "alicia");
    track(&mut cluster, BOB, "room:1", "al");
    let node = cluster.get("a");
    let list = node.list("room:1");
    assert!(list.of_key("alice").map(|entry| entry.owner()).eq([ALICE, BOB]));
    let presence = Presence::from_entries(list.of_key("alice"));
    assert_eq!(
        serde_json::to_value(presence).unwrap(),
        json!({"metas": [{"phx_ref": laptop}, {"phx_ref": phone}]})
    );
    assert_eq!(Presence::from_entries(list.of_key("nobody")), None);
    assert_eq!(Presence::from_entries(node.list("room:2").of_key("alice")), None);
}

#[test]
fn pr_18_metas_are_oldest_first_and_keep_their_place_when_updated() {
    let mut cluster = lone();
    let owners = [Owner(9), Owner(3), Owner(7)];
    for owner in owners {
        track(&mut cluster, owner, "room:1", "bob");
    }
    cluster.on("a", |node, now| node.update(Owner(9), "room:1", "bob", Map::new(), now)).unwrap();
    let listed: Vec<_> = cluster.get("a").list("room:1").iter().map(|entry| entry.owner()).collect();
    assert_eq!(listed, owners);
}

#[test]
fn ts_07_pr_09_tr2_08_untrack_one_topic_one_key_or_all() {
    let mut cluster = lone();
    for (owner, topic, key) in
        [(ALICE, "t1", "k1"), (ALICE, "t1", "k2"), (ALICE, "t2", "k1"), (BOB, "t1", "k1")]
    {
        track(&mut cluster, owner, topic, key);
    }
    cluster.forget();
    cluster.on("a", |node, _| node.untrack(ALICE, "t1", "k1"));
    assert_eq!(cluster.keys("a", "t1"), ["k1", "k2"]);
    assert_eq!(cluster.get("a").list("t1").of_key("k1").next().unwrap().owner(), BOB);
    cluster.on("a", |node, _| node.untrack_all(ALICE));
    assert_eq!((cluster.keys("a", "t1"), cluster.keys("a", "t2")), (vec!["k1".to_owned()], vec![]));
    assert_eq!(cluster.payloads("a").as_array().unwrap().len(), 3);
    assert!(cluster.get("a").topics().map(AsRef::as_ref).eq(["t1"]));
}

#[test]
fn pr_11_untracking_the_unknown_changes_nothing() {
    let mut cluster = lone();
    track(&mut cluster, ALICE, "t", "k");
    cluster.forget();
    for (owner, topic, key) in [(BOB, "t", "k"), (ALICE, "u", "k"), (ALICE, "t", "x")] {
        cluster.on("a", |node, _| node.untrack(owner, topic, key));
    }
    cluster.on("a", |node, _| node.untrack_all(BOB));
    assert_eq!(cluster.payloads("a"), json!([]));
    assert_eq!(cluster.keys("a", "t"), ["k"]);
}

#[test]
fn pr_13_tr2_10_updating_the_unknown_is_an_error() {
    let mut cluster = lone();
    track(&mut cluster, ALICE, "t", "k");
    let updated = cluster.on("a", |node, now| node.update(BOB, "t", "k", Map::new(), now));
    assert_eq!(updated, Err(UpdateError::NoPresence));
}

#[test]
fn tr2_11_the_same_owner_topic_and_key_is_tracked_once() {
    let mut cluster = lone();
    track(&mut cluster, ALICE, "t", "k");
    let again = cluster.on("a", |node, now| node.track(ALICE, "t", "k", Map::new(), now));
    assert_eq!(again, Err(TrackError::AlreadyTracked));
    track(&mut cluster, ALICE, "t", "k2");
    track(&mut cluster, ALICE, "t2", "k");
    track(&mut cluster, BOB, "t", "k");
    cluster.on("a", |node, _| node.untrack(ALICE, "t", "k"));
    track(&mut cluster, ALICE, "t", "k");
}

#[test]
fn a_meta_beyond_the_limit_is_refused_and_nothing_changes() {
    let config = TrackerConfig { max_meta_bytes: 100, ..TrackerConfig::default() };
    let mut cluster = Cluster::with(&["a"], config);
    let big = || meta(&json!({"x": "y".repeat(100)}));
    let tracked = cluster.on("a", |node, now| node.track(ALICE, "t", "k", big(), now));
    assert_eq!(tracked, Err(TrackError::MetaTooLarge(MetaTooLarge { size: 137, limit: 100 })));
    track(&mut cluster, ALICE, "t", "k");
    cluster.forget();
    let updated = cluster.on("a", |node, now| node.update(ALICE, "t", "k", big(), now));
    assert!(matches!(updated, Err(UpdateError::MetaTooLarge(MetaTooLarge { limit: 100, .. }))));
    assert_eq!(cluster.payloads("a"), json!([]));
    assert_eq!(cluster.keys("a", "t"), ["k"]);
}

#[test]
fn tp_01_graceful_permdown_stops_and_clears() {
    let mut cluster = lone();
    track(&mut cluster, ALICE, "t", "k");
    cluster.forget();
    cluster.on("a", |node, _| node.graceful_permdown());
    cluster.on("a", |node, _| node.graceful_permdown());
    assert_eq!(cluster.sent.len(), 1);
    assert_eq!(cluster.payloads("a"), json!([]));
    assert_eq!((cluster.keys("a", "t").len(), cluster.get("a").poll_timeout()), (0, None));
    let tracked = cluster.on("a", |node, now| node.track(ALICE, "t", "k", Map::new(), now));
    assert_eq!(tracked, Err(TrackError::Stopped));
    cluster.on("a", |node, now| node.handle_timeout(now + Duration::from_secs(60)));
    assert_eq!(cluster.sent.len(), 1);
}

#[test]
fn trp_01_trp_02_every_start_is_a_replica_of_its_own() {
    let begin = start("a");
    let replica =
        |start: &TrackerStart| Tracker::new(TrackerConfig::default(), start).unwrap().replica().clone();
    let first = replica(&begin);
    assert_eq!(&**first.node(), "a");
    let later = TrackerStart { unix_nanos: begin.unix_nanos + 1, ..begin.clone() };
    let other_seed = TrackerStart { seed: 2, ..begin.clone() };
    assert_eq!(replica(&begin), first);
    assert_ne!(replica(&later), first);
    assert_ne!(replica(&other_seed), first);
}

#[test]
fn the_first_tick_comes_within_a_quarter_period() {
    let mut delays: Vec<_> = (0..200)
        .map(|seed| {
            let start = TrackerStart { seed, ..start("a") };
            let tracker = Tracker::new(TrackerConfig::default(), &start).unwrap();
            tracker.poll_timeout().unwrap().0 - start.now
        })
        .collect();
    delays.sort();
    assert!(delays[0] < Duration::from_millis(20) && delays[199] > Duration::from_millis(355), "they spread");
    assert!(delays[199] <= Duration::from_millis(375));
}

#[test]
fn ten_thousand_in_one_topic_are_listed_in_order() {
    let mut cluster = lone();
    for n in 0..10_000 {
        track(&mut cluster, Owner(n), "big", &format!("user{}", n * 7919 % 10_000));
    }
    track(&mut cluster, ALICE, "other", "alice");
    let list = cluster.keys("a", "big");
    assert_eq!(list.len(), 10_000);
    assert!(list.is_sorted());
    for n in 0..10_000 {
        cluster.on("a", |node, _| node.untrack_all(Owner(n)));
    }
    assert!(cluster.keys("a", "big").is_empty());
}
