//! The sessions of a node, by what they are asked for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::session::Session;
use crate::token::SessionId;

/// The sessions of this node that are not over.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
    /// Keyed, so that nobody can choose where a token is looked for.
    hasher: RandomState,
    next: AtomicU64,
}

#[derive(Default)]
struct Table {
    /// For other nodes, which have verified the token.
    by_id: HashMap<SessionId, Arc<Session>>,
    by_token: HashTable<Arc<Session>>,
}

/// A session that can be found; dropped, it is not any more.
pub(crate) struct Entry {
    sessions: Arc<Sessions>,
    id: SessionId,
}

impl Sessions {
    pub(crate) fn next_id(&self) -> SessionId {
        SessionId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn with_id(&self, id: SessionId) -> Option<Arc<Session>> {
        self.table.lock().by_id.get(&id).cloned()
    }

    /// Compares tokens in constant time.
    pub(crate) fn with_token(&self, token: &str) -> Option<Arc<Session>> {
        let hash = self.hasher.hash_one(token);
        self.table.lock().by_token.find(hash, |session| session.ticket().is(token)).cloned()
    }

    fn hash(&self, session: &Session) -> u64 {
        self.hasher.hash_one(session.ticket().token())
    }

    fn insert(&self, id: SessionId, session: &Arc<Session>) {
        let hash = self.hash(session);
        let mut table = self.table.lock();
        table.by_id.insert(id, Arc::clone(session));
        table.by_token.insert_unique(hash, Arc::clone(session), |other| self.hash(other));
    }

    fn remove(&self, id: SessionId) {
        let mut table = self.table.lock();
        let Some(session) = table.by_id.remove(&id) else { return };
        let found = table.by_token.find_entry(self.hash(&session), |other| Arc::ptr_eq(other, &session));
        if let Ok(entry) = found {
            entry.remove();
        }
        if table.by_id.capacity() > 4 * table.by_id.len().max(64) {
            table.by_id.shrink_to_fit();
            table.by_token.shrink_to_fit(|other| self.hash(other));
        }
    }
}

impl Entry {
    pub(crate) fn new(sessions: &Arc<Sessions>, id: SessionId, session: &Arc<Session>) -> Self {
        sessions.insert(id, session);
        Self { sessions: Arc::clone(sessions), id }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sessions.remove(self.id);
    }
}
