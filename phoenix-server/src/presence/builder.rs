use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use phoenix_proto::presence::{Presences, Tracker, TrackerConfig, TrackerConfigError, TrackerStart};
use phoenix_proto::{Text, is_reserved_event};
use thiserror::Error;

use super::handle::{Inner, Presence, PresenceParts};
use super::hooks::{DEFAULT_TIMEOUT, Fetch, MakeObserver, Observer, PresenceObserver};
use super::shard::{Shard, ShardParts};
use crate::driver::now;
use crate::pubsub::{PubSub, random};

/// The options of a [`Presence`] (FEATURES J1–J5, L12–L22).
#[must_use = "a builder builds nothing until it is told to"]
pub struct PresenceBuilder {
    name: String,
    pool_size: u32,
    tracker: TrackerConfig,
    state_event: Text,
    diff_event: Text,
    fetch: Option<Fetch>,
    fetch_timeout: Duration,
    observer: Option<MakeObserver>,
    permdown_on_shutdown: bool,
}

/// A presence that cannot be started as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The periods do not fit together (FEATURES L23).
    #[error(transparent)]
    Tracker(#[from] TrackerConfigError),
    /// The pool has no shard.
    #[error("pool_size must be at least 1")]
    NoShards,
    /// An event belongs to the protocol.
    #[error("the event {0:?} is reserved")]
    ReservedEvent(String),
    /// This node has a presence of that name on the same PubSub; other nodes could not tell them apart.
    #[error("there is a presence named {0:?} already")]
    NameTaken(String),
}

impl PresenceBuilder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            pool_size: 1,
            tracker: TrackerConfig::default(),
            state_event: Text::from_static("presence_state"),
            diff_event: Text::from_static("presence_diff"),
            fetch: None,
            fetch_timeout: DEFAULT_TIMEOUT,
            observer: None,
            permdown_on_shutdown: false,
        }
    }

    /// Sets over how many trackers the topics are spread, each with a lock and messages of its own: 1 by default. It
    /// must be the same on all nodes (protocol §17.2).
    pub fn pool_size(mut self, shards: u32) -> Self {
        self.pool_size = shards;
        self
    }

    /// Sets periods and limits.
    pub fn tracker(mut self, config: TrackerConfig) -> Self {
        self.tracker = config;
        self
    }

    /// Sets the names of the events that tell clients of the presences: `presence_state` and `presence_diff` by default,
    /// which is what phoenix.js expects unless it is told otherwise (FEATURES J16, J17, T2).
    pub fn events(mut self, state: impl Into<Text>, diff: impl Into<Text>) -> Self {
        (self.state_event, self.diff_event) = (state.into(), diff.into());
        self
    }

    /// Sets the hook that adds fields to presences before clients get them (FEATURES J12).
    ///
    /// It is called with a topic and all its presences for a list, and for each diff once with those who joined and once
    /// with those who left, so that one query is enough. It must leave the metas. Diffs are fetched for side by side and
    /// published in order; one whose hook panics or takes longer than [`fetch_timeout`](Self::fetch_timeout) is
    /// published as it is.
    pub fn fetch<F>(mut self, fetch: impl Fn(Arc<str>, Presences) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Presences> + Send + 'static,
    {
        self.fetch = Some(Fetch::new(fetch));
        self
    }

    /// Sets how long the hook may take for a diff; 10 s by default.
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.fetch_timeout = limit;
        self
    }

    /// Sets an observer of all changes; `init` makes one for each shard (FEATURES J13, J14).
    pub fn observer<O: PresenceObserver>(mut self, init: impl Fn() -> O + Send + 'static) -> Self {
        self.observer = Some(Box::new(move || Observer::new(init())));
        self
    }

    /// Sets whether [`Presence::graceful_permdown`] is done when a server on its PubSub has
    /// [shut down](crate::Endpoint::shutdown), or when the last handle is dropped; by default it is not, so that the
    /// others wait for this node to come back (FEATURES L18).
    pub fn permdown_on_shutdown(mut self, yes: bool) -> Self {
        self.permdown_on_shutdown = yes;
        self
    }

    /// Starts to track presences, and to exchange them with the other nodes of `pubsub`.
    ///
    /// # Errors
    /// [`PresenceError`] for the first option that is wrong.
    ///
    /// # Panics
    /// Outside of a tokio runtime, if the PubSub has an engine.
    pub fn start(self, pubsub: &PubSub) -> Result<Presence, PresenceError> {
        let pool_size = NonZeroU32::new(self.pool_size).ok_or(PresenceError::NoShards)?;
        if let Some(event) =
            [&self.state_event, &self.diff_event].into_iter().find(|event| is_reserved_event(event))
        {
            return Err(PresenceError::ReservedEvent(event.to_string()));
        }
        let group = format!("phx_presence:{}", self.name);
        let seed = random();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let fetch = self.fetch.map(|fetch| fetch.with_timeout(self.fetch_timeout));
        let mut shards = Vec::new();
        for number in 0..pool_size.get() {
            let start = TrackerStart {
                node: Arc::clone(pubsub.node_name().shared()),
                shard: number,
                seed: seed.wrapping_add(number.into()),
                now: now(),
                unix_nanos: u64::try_from(unix).unwrap_or(u64::MAX),
            };
            let tracker = Tracker::new(self.tracker.clone(), &start)?;
            let parts = ShardParts {
                pubsub: pubsub.clone(),
                gossip: format!("{group}_shard{number}").into(),
                diff_event: self.diff_event.clone(),
                fetch: fetch.clone(),
                observer: self.observer.as_ref().map(|init| init()),
            };
            shards.push(Arc::new(Shard::new(tracker, parts)));
        }
        let inner = Arc::new(Inner::new(PresenceParts {
            name: self.name.clone(),
            pool_size,
            shards,
            state_event: self.state_event,
            fetch,
            permdown_on_shutdown: self.permdown_on_shutdown,
        }));
        if !pubsub.presences().claim(&self.name, &inner) {
            return Err(PresenceError::NameTaken(self.name));
        }
        if !pubsub.is_local() {
            inner.gossip(pubsub);
        }
        Ok(inner.into())
    }
}

impl fmt::Debug for PresenceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
