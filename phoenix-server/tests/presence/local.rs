use std::time::Duration;

use phoenix_server::{
    Payload, Presence, PresenceError, PubSub, TrackError, TrackerConfig, TrackerConfigError, UpdateError,
};
use serde_json::{Value, json};

use super::support::{keys, lone, next, one};

#[tokio::test(start_paused = true)]
async fn pr_06_what_an_owner_tracks_is_told_and_ends_with_it() {
    let (presence, mut diffs) = lone("room");
    let mut owner = presence.owner();
    let joined = owner.track("room", "alice", json!({"device": "laptop"})).unwrap().to_string();
    assert_eq!(joined.len(), 16);
    let alice = one("alice", json!({"device": "laptop", "phx_ref": joined}));
    assert_eq!(next(&mut diffs).await, json!({"joins": alice, "leaves": {}}));
    assert_eq!(serde_json::to_value(presence.list("room").await).unwrap(), alice);
    drop(owner);
    assert_eq!(next(&mut diffs).await, json!({"joins": {}, "leaves": alice}));
    assert!(presence.list("room").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pr_12_an_update_is_one_diff_by_value_or_by_function() {
    let (presence, mut diffs) = lone("room");
    let mut owner = presence.owner();
    let first = owner.track("room", "bob", json!({"status": "online"})).unwrap().to_string();
    next(&mut diffs).await;
    let second = owner.update("room", "bob", json!({"status": "away"})).unwrap().to_string();
    let away = json!({"status": "away", "phx_ref": second, "phx_ref_prev": first});
    assert_eq!(
        next(&mut diffs).await,
        json!({
            "joins": one("bob", away.clone()),
            "leaves": one("bob", json!({"status": "online", "phx_ref": first})),
        })
    );
    let add = |mut meta: serde_json::Map<String, Value>| {
        meta.insert("typing".into(), true.into());
        meta
    };
    let third = owner.update_with("room", "bob", add).unwrap().to_string();
    let typing = json!({"status": "away", "typing": true, "phx_ref": third, "phx_ref_prev": second});
    assert_eq!(next(&mut diffs).await, json!({"joins": one("bob", typing), "leaves": one("bob", away)}));
}

#[tokio::test(start_paused = true)]
async fn pr_05_several_owners_share_a_key_and_have_a_meta_each() {
    let (presence, _) = lone("room");
    let (mut phone, mut laptop) = (presence.owner(), presence.owner());
    phone.track("room", "alice", json!({"device": "phone"})).unwrap();
    laptop.track("room", "alice", json!({"device": "laptop"})).unwrap();
    laptop.track("room", "alicia", json!({})).unwrap();
    let alice = presence.get_by_key("room", "alice").await.unwrap();
    let devices: Vec<_> = alice.metas.iter().map(|meta| meta.to_map()["device"].clone()).collect();
    assert_eq!(devices, ["phone", "laptop"]);
    assert_eq!(presence.get_by_key("room", "al").await, None);
    assert_eq!(presence.get_by_key("hall", "alice").await, None);
}

#[tokio::test(start_paused = true)]
async fn pr_09_11_13_tr2_11_what_cannot_be_done_is_an_error_and_changes_nothing() {
    let pubsub = PubSub::local();
    let mut config = TrackerConfig::default();
    config.max_meta_bytes = 64;
    let presence = Presence::builder("test").tracker(config).start(&pubsub).unwrap();
    let (mut owner, mut other) = (presence.owner(), presence.owner());
    owner.track("room", "alice", json!({})).unwrap();
    owner.track("room", "robot", json!({})).unwrap();
    let before = presence.snapshot("room");

    assert!(matches!(owner.track("room", "alice", json!({})), Err(TrackError::AlreadyTracked)));
    assert!(matches!(other.update("room", "alice", json!({})), Err(UpdateError::NoPresence)));
    assert!(matches!(owner.track("room", "a", json!([1])), Err(TrackError::Meta(_))));
    assert!(matches!(owner.update("room", "alice", json!("text")), Err(UpdateError::Meta(_))));
    let large = json!({"x": "y".repeat(64)});
    assert!(
        matches!(owner.track("room", "a", &large), Err(TrackError::MetaTooLarge(error)) if error.limit == 64)
    );
    assert!(matches!(owner.update("room", "alice", &large), Err(UpdateError::MetaTooLarge(_))));
    other.untrack("room", "alice");
    owner.untrack("room", "nobody");
    assert_eq!(presence.snapshot("room"), before);

    owner.untrack("room", "alice");
    assert_eq!(keys(&presence.snapshot("room")), ["robot"]);
    assert_eq!(keys(&before), ["alice", "robot"], "a snapshot stays as it is");
    owner.untrack_all();
    assert!(presence.snapshot("room").is_empty());
    owner.track("room", "alice", json!({})).unwrap();
}

#[tokio::test(start_paused = true)]
async fn tp_01_topics_are_spread_over_pools_of_any_size() {
    for pool_size in [1, 2, 8, 512] {
        let presence = Presence::builder("test").pool_size(pool_size).start(&PubSub::local()).unwrap();
        let mut owner = presence.owner();
        for topic in 0..50 {
            owner.track(&format!("room:{topic}"), "alice", json!({ "topic": topic })).unwrap();
        }
        for topic in 0..50 {
            let list = presence.snapshot(&format!("room:{topic}"));
            assert_eq!(list.iter().next().unwrap().meta().to_map()["topic"], topic);
        }
        owner.untrack("room:7", "alice");
        assert!(presence.snapshot("room:7").is_empty());
        drop(owner);
        assert!((0..50).all(|topic| presence.snapshot(&format!("room:{topic}")).is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_can_have_other_names() {
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").events("who", "who_changed").start(&pubsub).unwrap();
    let mut diffs = pubsub.subscribe("room");
    let _owner = presence.owner().track("room", "alice", json!({})).unwrap();
    assert_eq!(diffs.recv().await.unwrap().event, "who_changed");
}

#[tokio::test(start_paused = true)]
async fn l23_options_that_do_not_fit_are_refused() {
    let pubsub = PubSub::local();
    let start = |change: fn(&mut TrackerConfig)| {
        let mut config = TrackerConfig::default();
        change(&mut config);
        Presence::builder("test").tracker(config).start(&pubsub).unwrap_err()
    };
    let refused = |error| PresenceError::Tracker(error);
    assert_eq!(
        start(|config| config.down_period = Some(Duration::from_secs(2))),
        refused(TrackerConfigError::DownPeriodTooShort)
    );
    assert_eq!(
        start(|config| config.permdown_period = Duration::from_secs(30)),
        refused(TrackerConfigError::PermdownPeriodTooShort)
    );
    assert_eq!(
        start(|config| config.broadcast_period = Duration::ZERO),
        refused(TrackerConfigError::NoBroadcastPeriod)
    );
    let builder = || Presence::builder("test");
    assert_eq!(builder().pool_size(0).start(&pubsub).unwrap_err(), PresenceError::NoShards);
    assert_eq!(
        builder().events("presence_state", "phx_reply").start(&pubsub).unwrap_err(),
        PresenceError::ReservedEvent("phx_reply".into())
    );
    let first = builder().start(&pubsub).unwrap();
    assert_eq!(builder().start(&pubsub).unwrap_err(), PresenceError::NameTaken("test".into()));
    assert!(Presence::builder("other").start(&pubsub).is_ok());
    drop(first);
    assert!(builder().start(&pubsub).is_ok());
}

#[tokio::test(start_paused = true)]
async fn l7_nothing_is_tracked_or_listed_after_the_end() {
    let (presence, _) = lone("room");
    let mut owner = presence.owner();
    owner.track("room", "alice", json!({})).unwrap();
    presence.graceful_permdown();
    assert!(matches!(owner.track("room", "bob", json!({})), Err(TrackError::Stopped)));
    assert!(presence.snapshot("room").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_list_and_a_snapshot_are_the_same_payload() {
    let (presence, _) = lone("room");
    let mut owners: Vec<_> = (0..3).map(|_| presence.owner()).collect();
    for (index, key) in ["bob", "alice", "bob"].into_iter().enumerate() {
        owners[index].track("room", key, json!({ "index": index })).unwrap();
    }
    assert_eq!(Payload::from(&presence.list("room").await), Payload::from(&presence.snapshot("room")));
}

#[tokio::test(start_paused = true)]
async fn diffs_of_concurrent_changes_add_up_to_the_list() {
    const THREADS: u64 = 4;
    const CHANGES: u64 = 200;
    let pubsub = PubSub::local();
    let presence = Presence::builder("test").start(&pubsub).unwrap();
    let mut diffs = pubsub.subscribe_with_capacity("room", 10_000);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let presence = presence.clone();
            std::thread::spawn(move || {
                let mut owner = presence.owner();
                for n in 0..CHANGES {
                    let key = format!("{}", (thread + n) % 7);
                    match n % 3 {
                        0 => drop(owner.track("room", &key, json!({}))),
                        1 => drop(owner.update("room", &key, json!({}))),
                        _ => owner.untrack("room", &key),
                    }
                }
                owner
            })
        })
        .collect();
    let owners: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    presence.settled().await;
    pubsub.local_broadcast("room", "end", Payload::EMPTY).unwrap();

    let mut listed = std::collections::BTreeSet::new();
    loop {
        let broadcast = diffs.recv().await.unwrap();
        if broadcast.event == "end" {
            break;
        }
        let diff: phoenix_server::PresenceDiff = broadcast.payload.parse().unwrap();
        let refs = |presences: &phoenix_server::Presences| -> Vec<String> {
            presences.iter().flat_map(|(_, one)| &one.metas).map(|meta| meta.phx_ref().unwrap()).collect()
        };
        for left in refs(&diff.leaves) {
            assert!(listed.remove(&left), "nobody leaves who is not there");
        }
        listed.extend(refs(&diff.joins));
    }
    let expected = presence.snapshot("room").iter().map(|entry| entry.meta().phx_ref().unwrap()).collect();
    assert_eq!(listed, expected);
    drop(owners);
}
