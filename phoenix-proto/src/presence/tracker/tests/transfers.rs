//! Who asks whom for what was missed.

use std::time::Duration;

use super::super::fixtures::{Cluster, meta};
use super::super::*;
use crate::presence::message::{Heartbeat, TransferRequest};

const TICK: Duration = Duration::from_millis(1_500);

fn track(cluster: &mut Cluster, name: &str, owner: u64, key: &str) {
    cluster.on(name, |node, now| node.track(Owner(owner), "t", key, Map::new(), now)).unwrap();
}

fn hear(cluster: &mut Cluster, from: &ReplicaRef, clocks: &[(&ReplicaRef, u64)]) {
    let clocks = clocks.iter().map(|&(replica, clock)| (replica.clone(), clock)).collect();
    let heartbeat = Heartbeat { from: from.clone(), clocks, delta: None };
    cluster.on("a", |node, now| node.handle_message(Message::Heartbeat(heartbeat), now));
}

/// Whom "a" asks after three other nodes said what they know of each other.
fn asked(clocks: [[u64; 3]; 3]) -> Vec<String> {
    let mut cluster = Cluster::new(&["a"]);
    let replicas = ["x", "y", "z"].map(|name| ReplicaRef::new(name, 1));
    let [x, y, z] = &replicas;
    for replica in &replicas {
        hear(&mut cluster, replica, &[]);
    }
    for (replica, [cx, cy, cz]) in replicas.iter().zip(clocks) {
        hear(&mut cluster, replica, &[(x, cx), (y, cy), (z, cz)]);
    }
    cluster.run(2 * TICK);
    cluster.requests().into_iter().map(|(_, to)| to.to_owned()).collect()
}

#[test]
fn tr2_03_only_the_causally_dominant_is_asked() {
    assert_eq!(asked([[1, 0, 0], [1, 1, 0], [1, 1, 1]]), ["z"]);
    assert_eq!(asked([[2, 2, 2], [1, 1, 0], [1, 1, 1]]), ["x"]);
}

#[test]
fn tc_02_incomparable_clocks_are_all_asked() {
    assert_eq!(asked([[2, 1, 0], [1, 2, 0], [1, 1, 0]]), ["x", "y"]);
}

#[test]
fn of_equals_one_is_asked_and_nobody_who_knows_nothing_new() {
    assert_eq!(asked([[1, 1, 1], [1, 1, 1], [1, 1, 1]]), ["x"]);
    assert_eq!(asked([[0, 0, 0]; 3]), Vec::<String>::new());
}

#[test]
fn tc_05_clocks_of_replicas_not_up_here_do_not_count() {
    let mut cluster = Cluster::new(&["a"]);
    let (x, stranger) = (ReplicaRef::new("x", 1), ReplicaRef::new("stranger", 1));
    hear(&mut cluster, &x, &[(&x, 0), (&stranger, 5)]);
    cluster.run(4 * TICK);
    assert!(cluster.requests().is_empty());
}

#[test]
fn tr2_13_a_node_in_the_grace_period_does_not_provoke_endless_transfers() {
    let mut cluster = Cluster::connected(&["a", "b", "gone"]);
    track(&mut cluster, "gone", 1, "ghost");
    track(&mut cluster, "a", 2, "alice");
    cluster.run(4 * TICK);
    cluster.suspend("gone");
    cluster.run(Duration::from_secs(40));
    cluster.forget();
    cluster.start("b");
    cluster.run(Duration::from_secs(300));
    assert_eq!(cluster.requests(), [("b", "a")]);
    assert_eq!(cluster.keys("b", "t"), ["alice"]);
}

#[test]
fn ts_13_an_answer_holds_what_is_missing_and_nothing_of_the_requester() {
    let mut cluster = Cluster::connected(&["a", "b", "c"]);
    track(&mut cluster, "b", 1, "bob");
    track(&mut cluster, "c", 2, "carol");
    cluster.run(4 * TICK);
    cluster.forget();
    let from = cluster.get("b").replica().clone();
    let clocks = cluster.get("b").clocks().0.into_keys().map(|replica| (replica, 0)).collect();
    let request = TransferRequest { id: 7, from, clocks };
    cluster.on("a", |node, now| node.handle_message(Message::TransferRequest(request), now));
    let (_, to, Message::TransferAck(ack)) = &cluster.sent[0] else { panic!("an answer was sent") };
    assert_eq!((to, ack.id), (&Destination::Node("b".into()), 7));
    let told: Vec<_> = ack.deltas.iter().map(|delta| (&**delta.replica.node(), delta.values.len())).collect();
    assert_eq!(told, [("c", 1)], "nothing happened on a itself");
}

#[test]
fn a_lost_heartbeat_is_made_good_by_a_small_delta() {
    let mut cluster = Cluster::connected(&["a", "b"]);
    for owner in 0..50 {
        track(&mut cluster, "a", owner, "early");
    }
    cluster.run(2 * TICK);
    cluster.cut("a", "b");
    track(&mut cluster, "a", 99, "lost");
    cluster.run(TICK);
    cluster.heal();
    track(&mut cluster, "a", 100, "late");
    cluster.forget();
    cluster.run(4 * TICK);
    assert_eq!(cluster.keys("b", "t").len(), 52);
    let acks = cluster.sent.iter().filter_map(|(_, _, message)| match message {
        Message::TransferAck(ack) => Some(ack.deltas.iter().map(|delta| delta.values.len()).sum::<usize>()),
        _ => None,
    });
    assert_eq!(acks.collect::<Vec<_>>(), [2]);
}

#[test]
fn large_deltas_go_out_in_bounded_messages() {
    let config = TrackerConfig { max_message_bytes: 2_000, ..TrackerConfig::default() };
    let mut cluster = Cluster::with(&["a", "b"], config);
    cluster.run(4 * TICK);
    for owner in 0..100 {
        let about = meta(&serde_json::json!({"about": "x".repeat(100)}));
        cluster.on("a", |node, now| node.track(Owner(owner), "t", "k", about, now)).unwrap();
    }
    cluster.run(2 * TICK);
    assert_eq!(cluster.get("b").list("t").len(), 100);
    cluster.start("b");
    cluster.run(20 * TICK);
    assert_eq!(cluster.get("b").list("t").len(), 100);
    let largest = cluster.sent.iter().map(|(_, _, message)| message.encode().len()).max();
    assert!(largest < Some(3_000), "{largest:?}");
}
