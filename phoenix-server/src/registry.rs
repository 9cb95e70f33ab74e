use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use phoenix_proto::server::CloseReason;
use slab::Slab;

use crate::inbox::{Inbox, Item};

/// All connections of one mount, so that they can be closed.
#[derive(Default)]
pub(crate) struct Registry {
    connections: Mutex<Slab<Arc<Inbox>>>,
}

/// The entry of one connection, removed when it is dropped.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    key: usize,
}

impl Registry {
    pub(crate) fn register(self: &Arc<Self>, inbox: Arc<Inbox>) -> Registration {
        let key = self.connections.lock().insert(inbox);
        Registration { registry: Arc::clone(self), key }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.connections.lock().len()
    }

    /// Asks up to `limit` connections that were not asked before to close.
    pub(crate) fn close_all(&self, reason: &CloseReason) -> usize {
        let connections = self.connections.lock();
        connections.iter().filter(|(_, inbox)| inbox.push(Item::Close(reason.clone())).is_ok()).count()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.connections.lock().try_remove(self.key);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.key).finish()
    }
}
