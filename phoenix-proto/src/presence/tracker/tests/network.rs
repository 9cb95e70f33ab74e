//! Nodes that come, go, fall silent and return.

use std::time::Duration;

use serde_json::json;

use super::super::fixtures::Cluster;
use super::super::*;
use crate::presence::message::{Heartbeat, TransferAck, TransferRequest};
use crate::presence::{Presences, ReplicaDelta};

const TICK: Duration = Duration::from_millis(1_500);
const SECOND: Duration = Duration::from_secs(1);

fn track(cluster: &mut Cluster, name: &str, owner: u64, key: &str) {
    cluster.on(name, |node, now| node.track(Owner(owner), "t", key, Map::new(), now)).unwrap();
}

/// Keys that joined and left, by the diffs of a node since the last call.
fn told(cluster: &mut Cluster, name: &str) -> (Vec<String>, Vec<String>) {
    let diffs = cluster.diffs.remove(name).unwrap_or_default();
    let keys = |entry: &Arc<Entry>| entry.key().to_string();
    let joins = diffs.iter().flat_map(|diff| &diff.joins).map(keys).collect();
    let leaves = diffs.iter().flat_map(|diff| &diff.leaves).map(keys).collect();
    (joins, leaves)
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn ts_02_tr2_06_joins_and_leaves_are_told_on_every_node() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "a", 1, "alice");
    assert_eq!(told(&mut cluster, "a"), (keys(&["alice"]), vec![]));
    assert_eq!(told(&mut cluster, "b"), (vec![], vec![]));
    cluster.run(TICK);
    assert_eq!(told(&mut cluster, "b"), (keys(&["alice"]), vec![]));
    assert_eq!(cluster.keys("b", "t"), ["alice"]);
    cluster.on("a", |node, _| node.untrack_all(Owner(1)));
    cluster.run(TICK);
    assert_eq!(told(&mut cluster, "b"), (vec![], keys(&["alice"])));
    assert!(cluster.keys("b", "t").is_empty());
}

#[test]
fn tr2_09_an_update_reaches_the_others_as_one_diff() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "a", 1, "alice");
    cluster.run(TICK);
    cluster.forget();
    cluster.on("a", |node, now| node.update(Owner(1), "t", "alice", Map::new(), now)).unwrap();
    let here = cluster.payloads("a");
    cluster.run(TICK);
    assert_eq!(cluster.payloads("b"), here);
}

#[test]
fn who_came_and_went_between_two_heartbeats_is_not_told() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "a", 1, "alice");
    cluster.on("a", |node, _| node.untrack_all(Owner(1)));
    cluster.run(TICK);
    assert_eq!(told(&mut cluster, "b"), (vec![], vec![]));
    assert_eq!(cluster.get("b").clocks(), cluster.get("a").clocks());
}

#[test]
fn trp_03_tr2_02_an_unseen_node_comes_up_and_gets_the_list() {
    let mut cluster = Cluster::connected(&["a"]);
    track(&mut cluster, "a", 1, "alice");
    cluster.run(4 * TICK);
    cluster.start("b");
    cluster.run(4 * TICK);
    assert_eq!(cluster.status("b", "a"), Some(ReplicaStatus::Up));
    let replica = cluster.get("a").replica().clone();
    assert_eq!(cluster.changes["b"], [ReplicaChange::Up(replica)]);
    assert_eq!(cluster.requests(), [("b", "a")]);
    assert_eq!(cluster.keys("b", "t"), ["alice"]);
}

#[test]
fn trp_04_to_07_and_tr2_05_silence_leads_down_and_then_to_oblivion() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    cluster.forget();
    let replica = cluster.get("b").replica().clone();

    cluster.suspend("b");
    cluster.run(27 * SECOND);
    assert_eq!(cluster.status("a", "b"), Some(ReplicaStatus::Up), "within the down period nothing changes");
    cluster.run(6 * SECOND);
    assert_eq!(cluster.status("a", "b"), Some(ReplicaStatus::Down));
    assert_eq!(told(&mut cluster, "a"), (vec![], keys(&["bob"])));

    cluster.resume("b");
    cluster.run(20 * SECOND);
    assert_eq!(cluster.status("a", "b"), Some(ReplicaStatus::Up));
    assert_eq!(told(&mut cluster, "a"), (keys(&["bob"]), vec![]));
    assert_eq!(cluster.requests(), [], "the same start returns without a transfer");

    cluster.suspend("b");
    cluster.run(1_210 * SECOND);
    assert_eq!(cluster.status("a", "b"), None);
    assert_eq!(told(&mut cluster, "a"), (vec![], keys(&["bob"])));
    let (up, down) = (ReplicaChange::Up(replica.clone()), ReplicaChange::Down(replica.clone()));
    assert_eq!(cluster.changes["a"], [down.clone(), up, down, ReplicaChange::Permdown(replica)]);

    cluster.resume("b");
    cluster.run(60 * SECOND);
    assert_eq!(cluster.keys("a", "t"), ["bob"], "who is forgotten may come back");
}

#[test]
fn ts_04_a_netsplit_hides_and_its_end_shows_what_happened_meanwhile() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    cluster.cut("a", "b");
    cluster.run(40 * SECOND);
    cluster.forget();
    track(&mut cluster, "b", 2, "carol");
    cluster.on("b", |node, _| node.untrack_all(Owner(1)));
    cluster.run(10 * SECOND);
    assert_eq!(told(&mut cluster, "a"), (vec![], vec![]));
    cluster.heal();
    cluster.run(40 * SECOND);
    assert_eq!(cluster.keys("a", "t"), ["carol"]);
    let (joins, leaves) = told(&mut cluster, "a");
    assert_eq!((joins, leaves), (keys(&["bob", "carol"]), keys(&["bob"])));
}

#[test]
fn ts_05_ts_06_ts_09_what_a_third_node_tells_of_a_down_one_stays_hidden_until_it_is_up() {
    let mut cluster = Cluster::connected(&["a", "b", "c"]);
    track(&mut cluster, "c", 1, "old");
    cluster.run(2 * TICK);
    cluster.cut("a", "c");
    cluster.run(40 * SECOND);
    track(&mut cluster, "c", 2, "new");
    cluster.on("c", |node, _| node.untrack_all(Owner(1)));
    cluster.run(2 * TICK);
    cluster.forget();

    let down = cluster.get("c").replica().clone();
    let known = cluster.get("a").replicas.get(&down).unwrap().0.context();
    let delta = cluster.get("b").replicas.get(&down).unwrap().0.since(known).unwrap();
    let from = cluster.get("b").replica().clone();
    let ack = TransferAck { id: 1, from, deltas: vec![delta] };
    cluster.on("a", |node, now| node.handle_message(Message::TransferAck(ack), now));
    assert_eq!(told(&mut cluster, "a"), (vec![], vec![]));
    assert!(cluster.keys("a", "t").is_empty());

    cluster.heal();
    cluster.run(20 * SECOND);
    assert_eq!(told(&mut cluster, "a"), (keys(&["new"]), vec![]));
    assert_eq!(cluster.requests(), [], "nothing was missing any more");
}

#[test]
fn tr2_04_a_restart_takes_the_old_entries_away_everywhere() {
    let mut cluster = Cluster::connected(&["a", "b", "c"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    let old = cluster.get("b").replica().clone();
    cluster.start("b");
    cluster.forget();
    cluster.run(2 * TICK);
    for name in ["a", "c"] {
        assert!(cluster.keys(name, "t").is_empty());
        let new = ReplicaChange::Up(cluster.get("b").replica().clone());
        let gone = [ReplicaChange::Down(old.clone()), ReplicaChange::Permdown(old.clone()), new];
        assert_eq!(cluster.changes[name], gone);
    }
}

#[test]
fn tr2_05_a_restart_of_a_down_node_forgets_the_old_start() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    let old = cluster.get("b").replica().clone();
    cluster.suspend("b");
    cluster.run(40 * SECOND);
    cluster.forget();
    cluster.start("b");
    cluster.run(TICK);
    let new = cluster.get("b").replica().clone();
    assert_eq!(cluster.changes["a"], [ReplicaChange::Permdown(old), ReplicaChange::Up(new)]);
    assert_eq!(told(&mut cluster, "a"), (vec![], vec![]));
}

#[test]
fn tr2_07_ts_10_a_dead_node_is_hidden_first_and_purged_later() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    let dead = cluster.get("b").replica().clone();
    cluster.suspend("b");
    cluster.forget();
    cluster.run(40 * SECOND);
    assert_eq!(told(&mut cluster, "a"), (vec![], keys(&["bob"])));
    let kept =
        |cluster: &Cluster| cluster.get("a").replicas.get(&dead).map(|(history, _)| history.values().len());
    assert_eq!(kept(&cluster), Some(1));
    assert!(!cluster.get("a").clocks().0.contains_key(&dead), "clocks leave out who is down");
    cluster.run(1_200 * SECOND);
    assert_eq!(kept(&cluster), None);
    assert_eq!(told(&mut cluster, "a"), (vec![], vec![]));
}

#[test]
fn td_03_a_forgotten_replica_is_in_no_answer_any_more() {
    let mut cluster = Cluster::connected(&["a", "b", "c"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    let gone = cluster.get("b").replica().clone();
    cluster.on("b", |node, _| node.graceful_permdown());
    cluster.forget();
    let from = cluster.get("c").replica().clone();
    let clocks = [(gone, 0)].into_iter().collect();
    let request = Message::TransferRequest(TransferRequest { id: 1, from, clocks });
    cluster.on("a", |node, now| node.handle_message(request, now));
    assert!(cluster.sent.is_empty(), "{:?}", cluster.sent);
}

#[test]
fn tr2_12_graceful_permdown_takes_effect_at_once() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "b", 1, "bob");
    cluster.run(2 * TICK);
    cluster.forget();
    cluster.on("b", |node, _| node.graceful_permdown());
    assert_eq!(told(&mut cluster, "a"), (vec![], keys(&["bob"])));
    assert_eq!(cluster.status("a", "b"), None);
}

#[test]
fn tr2_01_a_silent_node_sends_an_empty_heartbeat_every_eleventh_tick() {
    let mut cluster = Cluster::new(&["a"]);
    let mut beats = Vec::new();
    for tick in 0..36 {
        cluster.run(TICK);
        let sent = cluster.sent.drain(..).filter(|(_, to, _)| *to == Destination::All).count();
        beats.extend(std::iter::repeat_n(tick, sent));
    }
    assert_eq!(beats, [0, 11, 22, 33]);
    track(&mut cluster, "a", 1, "alice");
    cluster.run(TICK);
    let carries_delta =
        |message: &Message| matches!(message, Message::Heartbeat(Heartbeat { delta: Some(_), .. }));
    assert_eq!(cluster.sent.iter().filter(|(_, _, message)| carries_delta(message)).count(), 1);
}

#[test]
fn after_a_message_that_could_not_be_sent_the_next_tick_says_what_we_know() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    cluster.cut("a", "b");
    track(&mut cluster, "a", 1, "alice");
    cluster.run(TICK);
    cluster.on("a", |node, _| node.handle_unsent());
    cluster.heal();
    cluster.run(4 * TICK);
    assert_eq!(cluster.keys("b", "t"), ["alice"], "long before the silence is over");
}

#[test]
fn early_timeouts_and_own_messages_are_harmless() {
    let mut cluster = Cluster::new(&["a"]);
    cluster.on("a", Tracker::handle_timeout);
    cluster.run(TICK);
    cluster.forget();
    let tick = cluster.get("a").poll_timeout();
    cluster.on("a", Tracker::handle_timeout);
    assert_eq!(cluster.get("a").poll_timeout(), tick);
    let (from, clocks) = (cluster.get("a").replica().clone(), cluster.get("a").clocks());
    let own = Message::Heartbeat(Heartbeat { from, clocks, delta: None });
    cluster.on("a", |node, now| node.handle_message(own, now));
    assert_eq!((cluster.sent.len(), cluster.get("a").replicas().count()), (0, 0));
}

#[test]
fn what_cannot_be_read_is_counted() {
    let mut cluster = Cluster::new(&["a"]);
    cluster.on("a", |node, now| node.handle_bytes(b"\xff{", now));
    cluster.on("a", |node, now| node.handle_bytes(br#"{"version":9,"message":0}"#, now));
    let stats = cluster.get("a").stats();
    assert_eq!((stats.malformed, stats.unknown_versions), (1, 1));
}

#[test]
fn ts_13_data_of_unknown_replicas_is_ignored_and_counted() {
    let mut cluster = Cluster::new(&["a", "b"]);
    track(&mut cluster, "b", 1, "bob");
    let stranger = cluster.get("b").own.since(0).unwrap();
    let from = ReplicaRef::new("x", 1);
    let ack = TransferAck { id: 1, from, deltas: vec![stranger] };
    cluster.on("a", |node, now| node.handle_message(Message::TransferAck(ack), now));
    assert!(cluster.keys("a", "t").is_empty());
    assert_eq!(cluster.get("a").stats().unknown_replicas, 1);
}

#[test]
fn nobody_can_change_what_we_track_ourselves() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    track(&mut cluster, "a", 1, "alice");
    let replica = cluster.get("a").replica().clone();
    let (dead, kept, values) = (vec![1], vec![], vec![]);
    let forged = ReplicaDelta { replica, start: 0, end: 100, until: 100, dead, kept, values };
    let from = cluster.get("b").replica().clone();
    let ack = TransferAck { id: 1, from, deltas: vec![forged] };
    cluster.on("a", |node, now| node.handle_message(Message::TransferAck(ack), now));
    assert_eq!(cluster.keys("a", "t"), ["alice"]);
}

#[test]
fn replicas_beyond_the_limit_are_refused_and_counted() {
    let config = TrackerConfig { max_replicas: 1, ..TrackerConfig::default() };
    let mut cluster = Cluster::with(&["a", "b", "c"], config);
    cluster.run(TICK);
    assert_eq!(cluster.get("a").replicas().count(), 1);
    assert!(cluster.get("a").stats().refused_replicas > 0);
}

#[test]
fn every_node_lists_in_the_same_order() {
    let mut cluster = Cluster::connected(&["a", "b", "c"]);
    for (owner, name) in ["c", "a", "b", "a"].into_iter().enumerate() {
        track(&mut cluster, name, owner as u64, "bob");
    }
    cluster.run(3 * TICK);
    let list = |name: &str| {
        serde_json::to_value(Presences::from_entries(cluster.get(name).list("t").iter())).unwrap()
    };
    assert_eq!(list("a")["bob"]["metas"].as_array().unwrap().len(), 4);
    assert_eq!(list("a"), list("b"));
    assert_eq!(list("a"), list("c"));
    assert_ne!(list("a"), json!({}));
}
