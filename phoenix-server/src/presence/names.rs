use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use thiserror::Error;

use super::handle::{Inner, Presence};

/// The presences of a PubSub by name; it does not keep them alive.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<String, Weak<Inner>>>);

/// There is no presence of that name on the PubSub: it was not started, or its last handle is gone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no presence named {0:?}")]
pub struct UnknownPresence(pub String);

impl Names {
    /// Gives a name to a presence, unless another has it.
    pub(super) fn claim(&self, name: &str, presence: &Arc<Inner>) -> bool {
        let mut names = self.0.lock();
        let free = names.get(name).is_none_or(|other| other.strong_count() == 0);
        if free {
            names.insert(name.to_owned(), Arc::downgrade(presence));
        }
        free
    }

    pub(crate) fn get(&self, name: &str) -> Result<Presence, UnknownPresence> {
        let presence = self.0.lock().get(name).and_then(Weak::upgrade);
        presence.map(Presence::from).ok_or_else(|| UnknownPresence(name.to_owned()))
    }

    /// The server shuts down: those presences end that were told to.
    pub(crate) fn shut_down(&self) {
        let presences: Vec<_> = self.0.lock().values().filter_map(Weak::upgrade).collect();
        for presence in presences {
            presence.shut_down();
        }
    }
}
