use std::collections::BTreeSet;

use super::PresenceEvent;
use crate::presence::grouped::{Presence, PresenceDiff, Presences};
use crate::presence::meta::Meta;

/// Brings a list to a new state; returns it and what that means (protocol §23).
///
/// Keys that stay keep their place, new ones come last. Where no meta joined, further fields stay as they were.
pub fn sync_state(current: Presences, new: Presences) -> (Presences, Vec<PresenceEvent>) {
    let mut diff = PresenceDiff::default();
    for (key, presence) in current.iter() {
        if new.get(key).is_none() {
            diff.leaves.insert(key.clone(), presence.clone());
        }
    }
    for (key, presence) in new.0 {
        let Some(known) = current.get(&key) else {
            diff.joins.insert(key, presence);
            continue;
        };
        let left = without(known, &presence.metas);
        if !left.metas.is_empty() {
            diff.leaves.insert(key.clone(), left);
        }
        let joined = without(&presence, &known.metas);
        if !joined.metas.is_empty() {
            diff.joins.insert(key, joined);
        }
    }
    sync_diff(current, diff)
}

/// Applies joins and then leaves to a list; returns it and what that means (protocol §23).
///
/// A join replaces the presence but keeps its other metas in front of the new ones. A leave of an unknown key is
/// ignored. Metas are told apart by `phx_ref` alone.
pub fn sync_diff(mut state: Presences, diff: PresenceDiff) -> (Presences, Vec<PresenceEvent>) {
    let mut events = Vec::with_capacity(diff.joins.len() + diff.leaves.len());
    for (key, joined) in diff.joins.0 {
        let current = state.get(&key).cloned();
        let mut presence = joined.clone();
        if let Some(current) = &current {
            let surviving = without(current, &joined.metas).metas;
            presence.metas.splice(0..0, surviving);
        }
        state.insert(key.clone(), presence);
        events.push(PresenceEvent::Join { key, current, joined });
    }
    let mut emptied = BTreeSet::new();
    for (key, left) in diff.leaves.0 {
        let Some(presence) = state.get_mut(&key) else { continue };
        *presence = without(presence, &left.metas);
        if presence.metas.is_empty() {
            emptied.insert(key.clone());
        }
        events.push(PresenceEvent::Leave { key, current: presence.clone(), left });
    }
    if !emptied.is_empty() {
        state.0.retain(|key, _| !emptied.contains(key));
    }
    (state, events)
}

/// The presence without the metas that are also in `gone`.
fn without(presence: &Presence, gone: &[Meta]) -> Presence {
    let gone: BTreeSet<_> = gone.iter().map(identity).collect();
    let metas = presence.metas.iter().filter(|meta| !gone.contains(&identity(meta))).cloned().collect();
    Presence { metas, extra: presence.extra.clone() }
}

fn identity(meta: &Meta) -> Option<&str> {
    meta.identity().map(serde_json::value::RawValue::get)
}
