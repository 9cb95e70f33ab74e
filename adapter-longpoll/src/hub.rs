//! All sessions of an endpoint.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use phoenix_server::{Accepted, Endpoint, LongPoll, PubSub};
use tokio::time::timeout;

use crate::relay::{Relay, RemoteSession};
use crate::session::Session;
use crate::sessions::{Entry, Sessions};
use crate::token::{Claim, Node, Tokens};
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

    /// Runs an accepted connection as a session.
    pub(crate) async fn open(&self, accepted: Accepted, request: &LongPoll) -> Arc<Session> {
        let options = request.options();
        self.announce(options.pubsub_timeout).await;
        let id = self.sessions.next_id();
        let ticket = self.tokens.sign(id, options.max_age);
        let session = Arc::new(Session::new(ticket, options.window, request.queue()));
        let entry = Entry::new(&self.sessions, id, &session);
        tokio::spawn(accepted.run(SessionTransport::new(Arc::clone(&session), entry)));
        session
    }

    /// The session of this node that has this token, unless that is too old.
    pub(crate) fn session(&self, token: &str, max_age: Duration) -> Option<Arc<Session>> {
        self.sessions.with_token(token).filter(|session| !session.ticket().is_over(max_age))
    }

    /// The session of another node that a token leads to.
    pub(crate) async fn elsewhere(&self, token: &str, request: &LongPoll) -> Option<RemoteSession> {
        let options = request.options();
        match self.tokens.verify(token, options.max_age)? {
            Claim::Own(_) => None,
            Claim::Foreign { topic, session } => {
                let relay = self.announce(options.pubsub_timeout).await;
                Some(relay.session(topic, session))
            }
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
