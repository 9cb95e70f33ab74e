//! Both presences of the reference application.

use std::sync::Arc;

use phoenix_server::{Presence, PresenceError, Presences, PubSub};
use serde_json::json;

/// The name of the one without a hook.
pub(super) const PRESENCE: &str = "Presence";

/// The name of the one whose hook adds the name of the user.
pub(super) const FETCHED: &str = "FetchPresence";

pub(super) fn start(pubsub: &PubSub) -> Result<[Presence; 2], PresenceError> {
    let plain = Presence::builder(PRESENCE).start(pubsub)?;
    let fetched = Presence::builder(FETCHED).fetch(add_user).start(pubsub)?;
    Ok([plain, fetched])
}

async fn add_user(_: Arc<str>, mut presences: Presences) -> Presences {
    for (key, presence) in presences.iter_mut() {
        presence.extra.insert("user".to_owned(), json!({"name": format!("name of {key}")}));
    }
    presences
}
