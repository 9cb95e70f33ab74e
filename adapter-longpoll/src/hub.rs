//! All sessions of an endpoint.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use phoenix_server::{Accepted, Endpoint, LongPoll, PubSub};

use tokio::time::timeout;

use crate::relay::Relay;
use crate::session::Session;
use crate::token::{Claim, Node, SessionId, Tokens};
use crate::transport::SessionTransport;

/// What the requests of an endpoint share. It lives as long as the endpoint; sessions do not keep it alive.
pub(crate) struct Hub {
    tokens: Tokens,
    pubsub: PubSub,
    sessions: Arc<Sessions>,
    relay: OnceLock<Relay>,
    /// Whether other nodes had time to learn where this one listens.
    announced: AtomicBool,
}

/// The sessions of this node that are not over.
#[derive(Default)]
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<SessionId, Arc<Session>>>,
    next: AtomicU64,
}

/// Takes a session out of the list when it is dropped.
pub(crate) struct Entry {
    sessions: Arc<Sessions>,
    id: SessionId,
}

/// Where the session of a request is.
pub(crate) enum Found<'a> {
    Here(Arc<Session>),
    Elsewhere { relay: &'a Relay, topic: String, session: SessionId },
    Nowhere,
}

impl Hub {
    /// The one of an endpoint.
    pub(crate) fn of(endpoint: &Endpoint) -> Arc<Self> {
        endpoint.extension(|| Self {
            tokens: Tokens::new(endpoint.secrets(), Node::random()),
            pubsub: endpoint.pubsub().clone(),
            sessions: Arc::default(),
            relay: OnceLock::new(),
            announced: AtomicBool::new(false),
        })
    }

    /// Runs an accepted connection as a session; returns its token.
    pub(crate) async fn open(&self, accepted: Accepted, request: &LongPoll) -> String {
        let options = request.options();
        self.announce(options.pubsub_timeout).await;
        let session = Arc::new(Session::new(options.window, request.queue()));
        let id = SessionId(self.sessions.next.fetch_add(1, Ordering::Relaxed));
        self.sessions.by_id.lock().insert(id, Arc::clone(&session));
        let entry = Entry { sessions: Arc::clone(&self.sessions), id };
        tokio::spawn(accepted.run(SessionTransport::new(session, entry)));
        self.tokens.sign(id, options.max_age)
    }

    /// The session that a request belongs to.
    pub(crate) async fn find(&self, token: Option<&str>, request: &LongPoll) -> Found<'_> {
        let claim = token.and_then(|token| self.tokens.verify(token, request.options().max_age));
        match claim {
            Some(Claim::Own(id)) => self.sessions.get(id).map_or(Found::Nowhere, Found::Here),
            Some(Claim::Foreign { topic, session }) => {
                let relay = self.announce(request.options().pubsub_timeout).await;
                Found::Elsewhere { relay, topic, session }
            }
            None => Found::Nowhere,
        }
    }

    /// Listens to other nodes, from the first session or question on; the first time waits until they know.
    async fn announce(&self, limit: Duration) -> &Relay {
        let relay =
            self.relay.get_or_init(|| Relay::start(&self.pubsub, self.tokens.own_topic(), &self.sessions));
        if !self.announced.load(Ordering::Relaxed) {
            // A cluster that cannot be reached must not keep clients from this node.
            let _ = timeout(limit, self.pubsub.settled()).await;
            self.announced.store(true, Ordering::Relaxed);
        }
        relay
    }
}

impl Sessions {
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        self.by_id.lock().get(&id).cloned()
    }

    fn remove(&self, id: SessionId) {
        let mut sessions = self.by_id.lock();
        sessions.remove(&id);
        if sessions.capacity() > 4 * sessions.len().max(64) {
            sessions.shrink_to_fit();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sessions.remove(self.id);
    }
}
