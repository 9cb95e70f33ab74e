use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use phoenix_proto::server::CloseReason;
use slab::Slab;
use tokio::sync::Notify;

use crate::SocketInfo;
use crate::inbox::{Inbox, Item};

/// All connections of one mount, so that they can be closed.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// Notified when the last connection is gone.
    empty: Notify,
}

#[derive(Default)]
struct State {
    connections: Slab<Entry>,
    draining: bool,
    /// What connections that are gone have dropped.
    dropped: u64,
}

struct Entry {
    inbox: Arc<Inbox>,
    transport: &'static str,
    id: Option<Arc<str>>,
}

/// The entry of one connection, removed when it is dropped.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    key: usize,
}

impl Registry {
    /// Adds a connection; one that comes while the mount drains is closed at once.
    pub(crate) fn register(
        self: &Arc<Self>,
        inbox: Arc<Inbox>,
        transport: &'static str,
        id: Option<Arc<str>>,
    ) -> Registration {
        let mut state = self.state.lock();
        if state.draining {
            close(&inbox, CloseReason::Draining);
        }
        let key = state.connections.insert(Entry { inbox, transport, id });
        drop(state);
        Registration { registry: Arc::clone(self), key }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().connections.len()
    }

    /// All connections, for people to look at.
    pub(crate) fn list(&self, socket: &'static str) -> Vec<SocketInfo> {
        let info = |entry: &Entry| SocketInfo {
            socket,
            transport: entry.transport,
            id: entry.id.clone(),
            inbox: Arc::downgrade(&entry.inbox),
        };
        self.state.lock().connections.iter().map(|(_, entry)| info(entry)).collect()
    }

    /// How many frames and broadcasts clients did not get because they were too slow.
    pub(crate) fn dropped(&self) -> u64 {
        let state = self.state.lock();
        state.dropped + state.connections.iter().map(|(_, entry)| entry.inbox.dropped()).sum::<u64>()
    }

    /// Whether no more connections are accepted.
    pub(crate) fn is_draining(&self) -> bool {
        self.state.lock().draining
    }

    /// Accepts no more connections and returns those there are.
    pub(crate) fn start_draining(&self) -> Vec<Arc<Inbox>> {
        let mut state = self.state.lock();
        state.draining = true;
        state.connections.iter().map(|(_, entry)| Arc::clone(&entry.inbox)).collect()
    }

    /// Asks all connections to close.
    pub(crate) fn close_all(&self, reason: &CloseReason) -> usize {
        let state = self.state.lock();
        state.connections.iter().filter(|(_, entry)| close(&entry.inbox, reason.clone())).count()
    }

    /// Waits until there is no connection.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.len() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// Asks a connection to close; false if it is closing already.
pub(crate) fn close(inbox: &Inbox, reason: CloseReason) -> bool {
    inbox.push(Item::Close(Box::new(reason))).is_ok()
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        if let Some(entry) = state.connections.try_remove(self.key) {
            state.dropped += entry.inbox.dropped();
        }
        if state.connections.is_empty() {
            self.registry.empty.notify_waiters();
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.key).finish()
    }
}
