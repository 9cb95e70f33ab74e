use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phoenix_server::{Presence, PresenceDiff, PresenceObserver, Presences, PubSub, TopicList};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore};

use super::support::{names, next, one};

/// Gives every presence a name, as the reference application does.
async fn name_of(_: Arc<str>, mut presences: Presences) -> Presences {
    for (key, presence) in presences.iter_mut() {
        presence.extra.insert("user".into(), json!({ "name": format!("name of {key}") }));
    }
    presences
}

#[tokio::test(start_paused = true)]
async fn pr_03_07_the_fetch_hook_adds_to_lists_joins_and_leaves() {
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").fetch(name_of).start(&pubsub).unwrap();
    let mut diffs = pubsub.subscribe("room");
    let mut owner = presence.owner();
    let phx_ref = owner.track("room", "bob", json!({})).unwrap().to_string();
    let bob = json!({"bob": {"metas": [{"phx_ref": phx_ref}], "user": {"name": "name of bob"}}});
    assert_eq!(next(&mut diffs).await, json!({"joins": bob, "leaves": {}}));
    assert_eq!(serde_json::to_value(presence.list("room").await).unwrap(), bob);
    assert_eq!(presence.get_by_key("room", "bob").await.unwrap().extra["user"]["name"], "name of bob");
    assert_eq!(presence.get_by_key("room", "nobody").await, None);
    drop(owner);
    assert_eq!(next(&mut diffs).await, json!({"joins": {}, "leaves": bob}));
}

#[tokio::test(start_paused = true)]
async fn one_call_gets_all_presences_of_a_list() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let fetch = move |topic: Arc<str>, presences: Presences| {
        seen.lock().unwrap().push((topic.to_string(), presences.len()));
        async { presences }
    };
    let presence = Presence::builder("test").fetch(fetch).start(&PubSub::local()).unwrap();
    let mut owner = presence.owner();
    for key in 0..5 {
        owner.track("room", &key.to_string(), json!({})).unwrap();
    }
    presence.settled().await;
    calls.lock().unwrap().clear();
    presence.list("room").await;
    assert_eq!(*calls.lock().unwrap(), [("room".to_owned(), 5)]);
    calls.lock().unwrap().clear();
    drop(owner);
    presence.settled().await;
    assert_eq!(*calls.lock().unwrap(), [("room".to_owned(), 5)], "who leaves together is fetched together");
}

#[tokio::test(start_paused = true)]
async fn j20_diffs_are_fetched_for_side_by_side_and_published_in_order() {
    let both = Arc::new(Barrier::new(2));
    let first_may_end = Arc::new(Semaphore::new(0));
    let (barrier, gate) = (Arc::clone(&both), Arc::clone(&first_may_end));
    let fetch = move |_: Arc<str>, presences: Presences| {
        let (barrier, gate) = (Arc::clone(&barrier), Arc::clone(&gate));
        async move {
            barrier.wait().await;
            if presences.get("second").is_some() {
                gate.add_permits(1);
            } else {
                gate.acquire().await.unwrap().forget();
            }
            presences
        }
    };
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").fetch(fetch).start(&pubsub).unwrap();
    let mut diffs = pubsub.subscribe("room");
    let mut owner = presence.owner();
    owner.track("room", "first", json!({})).unwrap();
    owner.track("room", "second", json!({})).unwrap();
    assert_eq!(names(&next(&mut diffs).await["joins"]), ["first"]);
    assert_eq!(names(&next(&mut diffs).await["joins"]), ["second"]);
    presence.settled().await;
    std::mem::forget(owner);
}

#[tokio::test(start_paused = true)]
async fn a_slow_hook_holds_up_its_own_topic_only() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let fetch = move |topic: Arc<str>, presences: Presences| {
        let wait = Arc::clone(&wait);
        async move {
            if &*topic == "slow" {
                wait.acquire().await.unwrap().forget();
            }
            presences
        }
    };
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").fetch(fetch).start(&pubsub).unwrap();
    let (mut slow, mut fast) = (pubsub.subscribe("slow"), pubsub.subscribe("fast"));
    let mut owner = presence.owner();
    owner.track("slow", "alice", json!({})).unwrap();
    owner.track("fast", "alice", json!({})).unwrap();
    next(&mut fast).await;
    gate.add_permits(1);
    next(&mut slow).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_leaves_the_diff_as_it_is() {
    let fetch = |_: Arc<str>, presences: Presences| async move {
        assert!(presences.get("panic").is_none(), "as asked");
        if presences.get("hang").is_some() {
            std::future::pending::<()>().await;
        }
        name_of("".into(), presences).await
    };
    let pubsub = PubSub::local();
    let presence =
        Presence::builder("test").fetch(fetch).fetch_timeout(Duration::from_secs(3)).start(&pubsub).unwrap();
    let mut diffs = pubsub.subscribe("room");
    let mut owner = presence.owner();
    for key in ["panic", "hang", "fine"] {
        owner.track("room", key, json!({})).unwrap();
    }
    for (key, keys) in [("panic", 1), ("hang", 1), ("fine", 2)] {
        assert_eq!(next(&mut diffs).await["joins"][key].as_object().unwrap().len(), keys, "{key}");
    }
    assert_eq!(presence.stats().failed_fetches, 2);
    std::mem::forget(owner);
}

#[tokio::test(start_paused = true)]
async fn diffs_that_wait_too_long_are_put_together_and_still_add_up() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let fetch = move |_: Arc<str>, presences: Presences| {
        let wait = Arc::clone(&wait);
        async move {
            let _permit = wait.acquire().await.unwrap();
            presences
        }
    };
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").fetch(fetch).start(&pubsub).unwrap();
    let mut diffs = pubsub.subscribe_with_capacity("room", 10_000);
    let mut owner = presence.owner();
    let mut changes = 0;
    for n in 0..2_000 {
        let key = (n % 50).to_string();
        if owner.track("room", &key, json!({})).is_err() {
            owner.untrack("room", &key);
        }
        changes += 1;
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    owner.track("room", "last", json!({})).unwrap();
    gate.add_permits(1_000);
    presence.settled().await;
    assert!(presence.stats().merged_diffs > 1_000, "{:?}", presence.stats());

    let mut listed = BTreeSet::new();
    let mut told = 0;
    while !listed.contains("last") {
        let diff = next(&mut diffs).await;
        for key in names(&diff["leaves"]) {
            assert!(listed.remove(&key), "{key}");
        }
        listed.extend(names(&diff["joins"]));
        told += 1;
    }
    assert!(told < changes);
    let expected: BTreeSet<String> = super::support::keys(&presence.snapshot("room")).into_iter().collect();
    assert_eq!(listed, expected);
}

/// Writes down what it is told.
struct Scribe {
    count: usize,
    log: Arc<Mutex<Vec<Value>>>,
}

impl PresenceObserver for Scribe {
    async fn handle_metas(&mut self, topic: &str, diff: &PresenceDiff, presences: &TopicList) {
        self.count += 1;
        tokio::task::yield_now().await;
        self.log.lock().unwrap().push(json!([self.count, topic, diff, presences]));
        assert!(diff.joins.get("panic").is_none(), "as asked");
    }
}

#[tokio::test(start_paused = true)]
async fn pr_16_to_21_an_observer_sees_every_diff_with_the_presences_it_led_to() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&log);
    let presence = Presence::builder("test")
        .fetch(name_of)
        .observer(move || Scribe { count: 0, log: Arc::clone(&shared) })
        .start(&PubSub::local())
        .unwrap();
    let (mut one_owner, mut other) = (presence.owner(), presence.owner());
    let a = one_owner.track("room", "u1", json!({})).unwrap().to_string();
    let b = one_owner.track("room", "u2", json!({})).unwrap().to_string();
    let c = other.track("room", "u1", json!({})).unwrap().to_string();
    one_owner.untrack("room", "u2");
    drop(one_owner);
    drop(other);
    presence.settled().await;

    let meta = |phx_ref: &String| json!({ "phx_ref": phx_ref });
    let fetched = |key: &str, phx_ref: &String| json!({key: {"metas": [meta(phx_ref)], "user": {"name": format!("name of {key}")}}});
    let joins = |key: &str, phx_ref: &String| json!({"joins": fetched(key, phx_ref), "leaves": {}});
    let leaves = |key: &str, phx_ref: &String| json!({"joins": {}, "leaves": fetched(key, phx_ref)});
    assert_eq!(
        *log.lock().unwrap(),
        [
            json!([1, "room", joins("u1", &a), one("u1", meta(&a))]),
            json!([2, "room", joins("u2", &b), {"u1": {"metas": [meta(&a)]}, "u2": {"metas": [meta(&b)]}}]),
            json!([
                3, "room", joins("u1", &c),
                {"u1": {"metas": [meta(&a), meta(&c)]}, "u2": {"metas": [meta(&b)]}}
            ]),
            json!([4, "room", leaves("u2", &b), {"u1": {"metas": [meta(&a), meta(&c)]}}]),
            json!([5, "room", leaves("u1", &a), one("u1", meta(&c))]),
            json!([6, "room", leaves("u1", &c), {}]),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_is_told_of_the_next_diff() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&log);
    let presence = Presence::builder("test")
        .observer(move || Scribe { count: 0, log: Arc::clone(&shared) })
        .start(&PubSub::local())
        .unwrap();
    let mut owner = presence.owner();
    owner.track("room", "panic", json!({})).unwrap();
    owner.track("room", "fine", json!({})).unwrap();
    presence.settled().await;
    assert_eq!(log.lock().unwrap().len(), 2);
}
