use std::time::Duration;

use phoenix_server::{LocalCluster, NodeName, Payload, Presence, PubSub, ReplicaStatus, TrackerConfig};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::support::{Node, keys, let_pass, names, next, nodes};

const TICK: Duration = Duration::from_millis(1_500);
/// After so long a silent node counts as down, at the next tick.
const DOWN: Duration = Duration::from_secs(30);

fn name(node: &Node) -> NodeName {
    node.pubsub.node_name().clone()
}

#[tokio::test(start_paused = true)]
async fn a_change_on_one_node_is_one_diff_on_every_node() {
    let cluster = LocalCluster::new();
    let [mut a, mut b, mut c] = nodes(&cluster, ["a", "b", "c"]).await;
    let mut owner = a.presence.owner();
    owner.track("room", "alice", json!({"n": 1})).unwrap();
    let here = next(&mut a.diffs).await;
    assert_eq!(names(&here["joins"]), ["alice"]);
    assert_eq!(timeout(2 * TICK, next(&mut b.diffs)).await.unwrap(), here);
    assert_eq!(timeout(2 * TICK, next(&mut c.diffs)).await.unwrap(), here);
    assert_eq!(b.presence.list("room").await, a.presence.list("room").await);

    owner.update("room", "alice", json!({"n": 2})).unwrap();
    let here = next(&mut a.diffs).await;
    assert_eq!((names(&here["joins"]), names(&here["leaves"])), (vec!["alice".into()], vec!["alice".into()]));
    assert_eq!(timeout(2 * TICK, next(&mut b.diffs)).await.unwrap(), here);
    drop(owner);
    let here = next(&mut a.diffs).await;
    assert_eq!(names(&here["leaves"]), ["alice"]);
    next(&mut c.diffs).await;
    assert_eq!(timeout(2 * TICK, next(&mut c.diffs)).await.unwrap(), here);
}

#[tokio::test(start_paused = true)]
async fn tr2_02_a_node_that_comes_late_gets_the_list() {
    let cluster = LocalCluster::new();
    let [a] = nodes(&cluster, ["a"]).await;
    let mut owner = a.presence.owner();
    for key in 0..100 {
        owner.track("room", &format!("{key:03}"), json!({})).unwrap();
    }
    let_pass(TICK).await;
    let late = Node::start(&cluster, "late");
    let_pass(6 * TICK).await;
    assert_eq!(late.keys(), a.keys());
    assert_eq!(late.presence.nodes(), [("a".into(), ReplicaStatus::Up)]);
}

#[tokio::test(start_paused = true)]
async fn tr2_07_the_presences_of_a_dead_node_vanish_within_the_down_period_and_nobody_else_s_do() {
    let cluster = LocalCluster::new();
    let [mut a, mut b, dead] = nodes(&cluster, ["a", "b", "dead"]).await;
    let (mut on_a, mut on_b, mut on_dead) = (a.presence.owner(), b.presence.owner(), dead.presence.owner());
    on_a.track("room", "alice", json!({})).unwrap();
    on_b.track("room", "bob", json!({})).unwrap();
    on_dead.track("room", "carol", json!({})).unwrap();
    on_dead.track("room", "dave", json!({})).unwrap();
    let_pass(2 * TICK).await;
    assert_eq!(a.keys(), ["alice", "bob", "carol", "dave"]);
    a.told().await;
    b.told().await;

    let died = Instant::now();
    cluster.split(&[name(&dead)], &[name(&a), name(&b)]);
    for node in [&mut a, &mut b] {
        let diff = timeout(2 * DOWN, next(&mut node.diffs)).await.unwrap();
        assert_eq!(names(&diff["leaves"]), ["carol", "dave"], "both in one diff");
        assert_eq!(names(&diff["joins"]).len(), 0);
        assert!(died.elapsed() <= DOWN + TICK, "{:?}", died.elapsed());
        assert_eq!(node.keys(), ["alice", "bob"]);
        assert!(node.presence.nodes().contains(&("dead".into(), ReplicaStatus::Down)));
    }
    let_pass(Duration::from_secs(1_200)).await;
    assert!(!a.presence.nodes().iter().any(|(node, _)| node.as_str() == "dead"), "forgotten at last");
    assert_eq!(a.told().await, (vec![], vec![]));
    assert_eq!(b.told().await, (vec![], vec![]));
    assert_eq!(b.keys(), ["alice", "bob"]);
}

#[tokio::test(start_paused = true)]
async fn tr2_05_a_node_that_was_only_silent_is_back_without_a_new_start() {
    let cluster = LocalCluster::new();
    let [mut a, b] = nodes(&cluster, ["a", "b"]).await;
    let mut on_b = b.presence.owner();
    on_b.track("room", "bob", json!({})).unwrap();
    let_pass(2 * TICK).await;
    assert_eq!(a.told().await, (vec!["bob".into()], vec![]));
    cluster.split(&[name(&a)], &[name(&b)]);
    let_pass(DOWN + TICK).await;
    assert_eq!(a.told().await, (vec![], vec!["bob".into()]));
    on_b.track("room", "bella", json!({})).unwrap();
    cluster.heal();
    let_pass(DOWN).await;
    let (mut joined, left) = a.told().await;
    joined.sort();
    assert_eq!((joined, left), (vec!["bella".into(), "bob".into()], vec![]));
    assert_eq!(a.keys(), ["bella", "bob"]);
}

#[tokio::test(start_paused = true)]
async fn tr2_04_a_restarted_node_is_a_new_replica_and_the_old_presences_end() {
    let cluster = LocalCluster::new();
    let [mut a, b] = nodes(&cluster, ["a", "b"]).await;
    let mut on_b = b.presence.owner();
    on_b.track("room", "bob", json!({})).unwrap();
    let_pass(2 * TICK).await;
    a.told().await;

    // As after kill -9: nothing is said any more.
    cluster.split(&[name(&a)], &[name(&b)]);
    drop((on_b, b));
    let_pass(Duration::from_secs(1)).await;
    cluster.heal();
    let b = Node::start(&cluster, "b");
    let mut on_b = b.presence.owner();
    on_b.track("room", "bella", json!({})).unwrap();
    let_pass(2 * TICK).await;
    let (joined, left) = a.told().await;
    assert_eq!((joined, left), (vec!["bella".into()], vec!["bob".into()]));
    assert_eq!(a.keys(), ["bella"]);
    assert_eq!(b.keys(), ["bella"]);
}

#[tokio::test(start_paused = true)]
async fn tr2_12_a_graceful_end_takes_effect_at_once() {
    let cluster = LocalCluster::new();
    let [mut a, b] = nodes(&cluster, ["a", "b"]).await;
    let mut on_b = b.presence.owner();
    on_b.track("room", "bob", json!({})).unwrap();
    let_pass(2 * TICK).await;
    a.told().await;
    let before = Instant::now();
    b.presence.graceful_permdown();
    assert_eq!(names(&next(&mut a.diffs).await["leaves"]), ["bob"]);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(a.presence.nodes(), []);
}

#[tokio::test(start_paused = true)]
async fn l18_dropping_the_last_handle_is_a_graceful_end_if_asked_for() {
    let cluster = LocalCluster::new();
    let [a] = nodes(&cluster, ["a"]).await;
    for (graceful, expected) in [(false, 1), (true, 0)] {
        let pubsub = PubSub::builder().node(format!("b{graceful}").as_str()).engine(cluster.engine());
        let presence = Presence::builder("test").permdown_on_shutdown(graceful).start(&pubsub).unwrap();
        let_pass(2 * TICK).await;
        let known = a.presence.nodes().len();
        drop(presence);
        let_pass(Duration::from_millis(1)).await;
        assert_eq!(a.presence.nodes().len(), known - 1 + expected, "graceful: {graceful}");
    }
}

#[tokio::test(start_paused = true)]
async fn presence_heals_soon_after_the_broker_is_back() {
    let cluster = LocalCluster::new();
    let [a, b] = nodes(&cluster, ["a", "b"]).await;
    let mut on_a = a.presence.owner();
    cluster.stop();
    let_pass(TICK).await;
    on_a.track("room", "alice", json!({})).unwrap();
    let_pass(5 * TICK).await;
    assert!(b.keys().is_empty());
    assert!(a.presence.stats().unsent > 0);
    cluster.start();
    let_pass(4 * TICK).await;
    assert_eq!(b.keys(), ["alice"]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_none_are_ignored_and_counted() {
    let cluster = LocalCluster::new();
    let [a, b] = nodes(&cluster, ["a", "b"]).await;
    a.pubsub.broadcast("phx_presence:test_shard0", "hello", Payload::EMPTY).unwrap();
    a.pubsub.broadcast("phx_presence:test_shard0", "hello", bytes::Bytes::from_static(b"{}")).unwrap();
    let_pass(TICK).await;
    assert_eq!((a.presence.stats().malformed, b.presence.stats().malformed), (2, 2));
    let mut on_a = a.presence.owner();
    on_a.track("room", "alice", json!({})).unwrap();
    let_pass(TICK).await;
    assert_eq!(b.keys(), ["alice"]);
}

#[tokio::test(start_paused = true)]
async fn presences_of_different_names_and_shards_do_not_mix() {
    let cluster = LocalCluster::new();
    let start = |node: &str| {
        let pubsub = PubSub::builder().node(node).engine(cluster.engine());
        let users = Presence::builder("users").pool_size(4).start(&pubsub).unwrap();
        let robots = Presence::builder("robots").start(&pubsub).unwrap();
        (pubsub, users, robots)
    };
    let ((_a, users_a, robots_a), (_b, users_b, robots_b)) = (start("a"), start("b"));
    let_pass(2 * TICK).await;
    let (mut user, mut robot) = (users_a.owner(), robots_b.owner());
    for topic in 0..20 {
        user.track(&format!("room:{topic}"), "alice", json!({})).unwrap();
    }
    robot.track("room:1", "bot", json!({})).unwrap();
    let_pass(2 * TICK).await;
    assert!((0..20).all(|topic| keys(&users_b.snapshot(&format!("room:{topic}"))) == ["alice"]));
    assert_eq!(keys(&robots_a.snapshot("room:1")), ["bot"]);
}

#[tokio::test(start_paused = true)]
async fn periods_are_those_that_were_set() {
    let cluster = LocalCluster::new();
    let mut config = TrackerConfig::default();
    config.broadcast_period = Duration::from_millis(100);
    config.down_period = Some(Duration::from_millis(500));
    config.permdown_period = Duration::from_millis(900);
    config.max_silent_periods = 2;
    let start = |node: &str| {
        let pubsub = PubSub::builder().node(node).engine(cluster.engine());
        (Presence::builder("test").tracker(config.clone()).start(&pubsub).unwrap(), pubsub)
    };
    let ((a, pubsub_a), (_b, pubsub_b)) = (start("a"), start("b"));
    let_pass(Duration::from_secs(5)).await;
    assert_eq!(a.nodes(), [("b".into(), ReplicaStatus::Up)]);
    cluster.split(&[pubsub_a.node_name().clone()], &[pubsub_b.node_name().clone()]);
    let_pass(Duration::from_millis(610)).await;
    assert_eq!(a.nodes(), [("b".into(), ReplicaStatus::Down)]);
    let_pass(Duration::from_millis(400)).await;
    assert_eq!(a.nodes(), []);
}
