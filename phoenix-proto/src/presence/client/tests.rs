use serde_json::{Value, json};

use super::*;

fn presences(value: &Value) -> Presences {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn diff(joins: &Value, leaves: &Value) -> PresenceDiff {
    PresenceDiff { joins: presences(joins), leaves: presences(leaves) }
}

fn three() -> Value {
    json!({
        "u1": {"metas": [{"id": 1, "phx_ref": "1"}]},
        "u2": {"metas": [{"id": 2, "phx_ref": "2"}]},
        "u3": {"metas": [{"id": 3, "phx_ref": "3"}]},
    })
}

/// Events as `[kind, key, current, changed]`.
fn told(events: &[PresenceEvent]) -> Value {
    let value = |presence: &Presence| serde_json::to_value(presence).unwrap();
    events
        .iter()
        .map(|event| match event {
            PresenceEvent::Join { key, current, joined } => {
                json!(["join", &**key, current.as_ref().map(value), value(joined)])
            }
            PresenceEvent::Leave { key, current, left } => {
                json!(["leave", &**key, value(current), value(left)])
            }
            PresenceEvent::Sync => json!(["sync"]),
        })
        .collect()
}

fn drain(presence: &mut PresenceSync) -> Value {
    told(&std::iter::from_fn(|| presence.poll_event()).collect::<Vec<_>>())
}

fn keys(presences: &Presences) -> Vec<&str> {
    presences.iter().map(|(key, _)| &**key).collect()
}

#[test]
fn jp_01_sync_state_from_empty_takes_the_new_state() {
    let new = presences(&three());
    let (state, events) = sync_state(Presences::default(), new.clone());
    assert_eq!(state, new);
    assert_eq!(events.len(), 3);
}

#[test]
fn jp_02_joins_and_leaves_tell_the_presence_before_and_after() {
    let state = presences(&json!({"u4": {"metas": [{"id": 4, "phx_ref": "4"}]}}));
    let (state, events) = sync_state(state, presences(&three()));
    assert_eq!(state, presences(&three()));
    assert_eq!(
        told(&events),
        json!([
            ["join", "u1", null, {"metas": [{"id": 1, "phx_ref": "1"}]}],
            ["join", "u2", null, {"metas": [{"id": 2, "phx_ref": "2"}]}],
            ["join", "u3", null, {"metas": [{"id": 3, "phx_ref": "3"}]}],
            ["leave", "u4", {"metas": []}, {"metas": [{"id": 4, "phx_ref": "4"}]}],
        ])
    );
}

#[test]
fn jp_03_only_added_metas_are_told() {
    let state = presences(&json!({"u3": {"metas": [{"id": 3, "phx_ref": "3"}]}}));
    let new =
        presences(&json!({"u3": {"metas": [{"id": 3, "phx_ref": "3"}, {"id": 3, "phx_ref": "3.new"}]}}));
    let (state, events) = sync_state(state, new.clone());
    assert_eq!(state, new);
    assert_eq!(
        told(&events),
        json!([["join", "u3", {"metas": [{"id": 3, "phx_ref": "3"}]}, {"metas": [{"id": 3, "phx_ref": "3.new"}]}]])
    );
}

#[test]
fn jp_04_sync_diff_joins() {
    let joins = json!({"u1": {"metas": [{"id": 1, "phx_ref": "1"}]}});
    let (state, events) = sync_diff(Presences::default(), diff(&joins, &json!({})));
    assert_eq!(state, presences(&joins));
    assert_eq!(told(&events), json!([["join", "u1", null, {"metas": [{"id": 1, "phx_ref": "1"}]}]]));
}

#[test]
fn jp_05_an_emptied_presence_goes_and_metas_are_appended() {
    let joins = json!({"u1": {"metas": [{"id": 1, "phx_ref": "1.2"}]}});
    let leaves = json!({"u2": {"metas": [{"id": 2, "phx_ref": "2"}]}});
    let (state, _) = sync_diff(presences(&three()), diff(&joins, &leaves));
    assert_eq!(
        state,
        presences(&json!({
            "u1": {"metas": [{"id": 1, "phx_ref": "1"}, {"id": 1, "phx_ref": "1.2"}]},
            "u3": {"metas": [{"id": 3, "phx_ref": "3"}]},
        }))
    );
}

#[test]
fn jp_06_a_key_stays_while_metas_remain() {
    let state = presences(&json!({"u1": {"metas": [{"phx_ref": "1"}, {"phx_ref": "1.2"}]}}));
    let (state, events) = sync_diff(state, diff(&json!({}), &json!({"u1": {"metas": [{"phx_ref": "1"}]}})));
    assert_eq!(state, presences(&json!({"u1": {"metas": [{"phx_ref": "1.2"}]}})));
    assert_eq!(
        told(&events),
        json!([["leave", "u1", {"metas": [{"phx_ref": "1.2"}]}, {"metas": [{"phx_ref": "1"}]}]])
    );
}

#[test]
fn jp_07_no_key_is_special() {
    let odd = json!({
        "__proto__": {"metas": [{"phx_ref": "1"}]},
        "constructor": {"metas": [{"phx_ref": "2"}]},
        "hasOwnProperty": {"metas": [{"phx_ref": "3"}]},
    });
    let (state, events) = sync_state(Presences::default(), presences(&odd));
    assert_eq!((state.len(), events.len()), (3, 3));
    let (state, _) = sync_diff(state, diff(&json!({}), &odd));
    assert!(state.is_empty());
}

#[test]
fn jp_08_lists_in_the_order_the_keys_came() {
    let joins = |key: &str| diff(&json!({key: {"metas": [{"phx_ref": key}]}}), &json!({}));
    let mut state = Presences::default();
    for key in ["b", "a", "d", "c"] {
        state = sync_diff(state, joins(key)).0;
    }
    assert_eq!(keys(&state), ["b", "a", "d", "c"]);
    let first = |(_, presence): (_, &Presence)| presence.metas[0].phx_ref().unwrap();
    assert_eq!(state.iter().map(first).collect::<Vec<_>>(), ["b", "a", "d", "c"]);
    let (state, _) = sync_diff(state, diff(&json!({}), &json!({"a": {"metas": [{"phx_ref": "a"}]}})));
    assert_eq!(keys(&state), ["b", "d", "c"]);
}

#[test]
fn jp_09_an_instance_follows_states_and_diffs() {
    let mut presence = PresenceSync::default();
    let state = three().to_string();
    assert!(presence.handle_message("presence_state", state.as_bytes(), "1").unwrap());
    assert_eq!(drain(&mut presence).as_array().unwrap().len(), 4);
    let joined =
        br#"{"joins":{"u4":{"metas":[{"phx_ref":"4"}]}},"leaves":{"u1":{"metas":[{"phx_ref":"1"}]}}}"#;
    assert!(presence.handle_message("presence_diff", joined, "1").unwrap());
    assert_eq!(
        drain(&mut presence),
        json!([
            ["join", "u4", null, {"metas": [{"phx_ref": "4"}]}],
            ["leave", "u1", {"metas": []}, {"metas": [{"phx_ref": "1"}]}],
            ["sync"],
        ])
    );
    assert_eq!(keys(presence.presences()), ["u2", "u3", "u4"]);
    assert!(!presence.handle_message("other", b"", "1").unwrap());
    assert!(presence.handle_message("presence_diff", b"[1]", "1").is_err());
    assert_eq!(presence.poll_event(), None);
}

#[test]
fn jp_10_diffs_wait_for_the_state_of_the_current_join() {
    let mut presence = PresenceSync::default();
    assert!(presence.in_pending_sync_state("1"));
    presence.handle_diff(diff(&json!({}), &json!({"u2": {"metas": [{"phx_ref": "2"}]}})), "1");
    assert_eq!(presence.poll_event(), None);
    presence.handle_state(presences(&three()), "1");
    assert_eq!(keys(presence.presences()), ["u1", "u3"]);
    let told = drain(&mut presence);
    assert_eq!(told.as_array().unwrap().iter().filter(|event| event[0] == "sync").count(), 1);
    assert!(!presence.in_pending_sync_state("1"));

    presence.handle_diff(diff(&json!({}), &json!({"u1": {"metas": [{"phx_ref": "1"}]}})), "2");
    assert!(presence.in_pending_sync_state("2"));
    assert_eq!(keys(presence.presences()), ["u1", "u3"]);
    presence.handle_state(presences(&three()), "2");
    assert_eq!(
        drain(&mut presence),
        json!([
            ["join", "u2", null, {"metas": [{"id": 2, "phx_ref": "2"}]}],
            ["leave", "u1", {"metas": []}, {"metas": [{"phx_ref": "1"}]}],
            ["sync"],
        ])
    );
}

#[test]
fn jp_11_the_event_names_can_be_changed() {
    let config = PresenceSyncConfig {
        state_event: "the_state".into(),
        diff_event: "the_diff".into(),
        ..PresenceSyncConfig::default()
    };
    let mut presence = PresenceSync::new(config);
    assert!(!presence.handle_message("presence_state", b"{}", "1").unwrap());
    assert!(presence.handle_message("the_state", br#"{"u":{"metas":[{"phx_ref":"1"}]}}"#, "1").unwrap());
    let left = br#"{"joins":{},"leaves":{"u":{"metas":[{"phx_ref":"1"}]}}}"#;
    assert!(presence.handle_message("the_diff", left, "1").unwrap());
    assert!(presence.presences().is_empty());
}

#[test]
fn jp_12_an_update_never_empties_the_key() {
    let old = json!({"metas": [{"phx_ref": "1"}]});
    let new = json!({"metas": [{"phx_ref": "2", "phx_ref_prev": "1"}]});
    let state = presences(&json!({"u1": old.clone()}));
    let (state, events) = sync_diff(state, diff(&json!({"u1": new.clone()}), &json!({"u1": old.clone()})));
    assert_eq!(state, presences(&json!({"u1": new.clone()})));
    assert_eq!(told(&events), json!([["join", "u1", old.clone(), new.clone()], ["leave", "u1", new, old]]));
}

#[test]
fn leaves_of_unknown_keys_are_ignored() {
    let (state, events) = sync_diff(Presences::default(), diff(&json!({}), &three()));
    assert!(state.is_empty() && events.is_empty());
}

#[test]
fn a_join_told_again_keeps_one_meta() {
    let joins = json!({"alice": {"metas": [{"device": "laptop", "phx_ref": "A"}]}});
    let mut presence = PresenceSync::default();
    presence.handle_diff(diff(&joins, &json!({})), "3");
    presence.handle_state(presences(&joins), "3");
    assert_eq!(*presence.presences(), presences(&joins));
    let alice = &joins["alice"];
    assert_eq!(
        drain(&mut presence),
        json!([["join", "alice", null, alice], ["join", "alice", alice, alice], ["sync"]])
    );
}

#[test]
fn a_join_brings_its_further_fields() {
    let state = presences(&json!({"u": {"metas": [{"phx_ref": "1"}], "name": "old"}}));
    let (state, _) =
        sync_diff(state, diff(&json!({"u": {"metas": [{"phx_ref": "2"}], "name": "new"}}), &json!({})));
    assert_eq!(
        state,
        presences(&json!({"u": {"metas": [{"phx_ref": "1"}, {"phx_ref": "2"}], "name": "new"}}))
    );
}

#[test]
fn pending_diffs_are_bounded() {
    let config = PresenceSyncConfig { max_pending_diffs: 2, ..PresenceSyncConfig::default() };
    let mut presence = PresenceSync::new(config);
    for key in ["a", "b", "c"] {
        presence.handle_diff(diff(&json!({key: {"metas": [{"phx_ref": key}]}}), &json!({})), "1");
    }
    assert_eq!(presence.dropped_diffs(), 1);
    presence.handle_state(Presences::default(), "1");
    assert_eq!(keys(presence.presences()), ["b", "c"]);
}
