use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::future::join_all;
use phoenix_proto::presence::{
    Owner, PhxRef, Presence as KeyPresence, Presences, ReplicaStatus, TopicList, Tracker, shard_of,
};
use phoenix_proto::{Payload, Text};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::AbortHandle;

use super::builder::PresenceBuilder;
use super::gossip;
use super::hooks::Fetch;
use super::owner::{PresenceOwner, TrackError, UpdateError};
use super::shard::Shard;
use super::stats::PresenceStats;
use crate::pubsub::{NodeName, PubSub};
use crate::{Channel, Context, SendError};

/// Who is where, on all nodes of a PubSub; cheap to clone (FEATURES J, protocol §18).
///
/// A channel says of itself that it is there with [`track`](Self::track), and gives its client the list with
/// [`push_state`](Self::push_state). From then on clients get a `presence_diff` for every change, on whichever node,
/// and phoenix.js' `Presence` has the list. What a channel tracked ends with it, however that comes to its end.
///
/// Whoever starts it keeps a handle, for as long as the server runs; the PubSub knows it by its name, but does not keep
/// it alive.
///
/// What a callback changes is published when it returns or first waits, and before any list that has it.
///
/// ```
/// use phoenix_server::{Channel, Context, Crash, Flow, JoinError, Payload, Presence, Socket};
/// # use phoenix_server::{ConnectInfo, Refused, Router};
/// # struct UserSocket;
/// # impl Socket for UserSocket {
/// #     async fn connect(_: ConnectInfo) -> Result<Self, Refused> { Ok(Self) }
/// #     fn channels(_: &mut Router<Self>) {}
/// # }
/// use serde_json::json;
///
/// struct Room {
///     presence: Presence,
/// }
///
/// enum Info {
///     AfterJoin,
/// }
///
/// impl Channel for Room {
///     type Socket = UserSocket;
///     type Info = Info;
///
///     async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
///         // The name it was started with: `Presence::builder("rooms").start(&pubsub)`.
///         let presence = cx.presence("rooms")?;
///         cx.handle().send(Info::AfterJoin)?;
///         Ok((Self { presence }, Payload::EMPTY))
///     }
///
///     async fn handle_info(&mut self, _: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
///         self.presence.track(cx, "alice", json!({"device": "laptop"}))?;
///         self.presence.push_state(cx).await?;
///         Ok(Flow::Continue)
///     }
/// #   async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
/// #       Err(Crash::unhandled(event))
/// #   }
/// }
/// ```
#[derive(Clone)]
#[must_use = "without a handle it ends"]
pub struct Presence {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    parts: PresenceParts,
    owners: AtomicU64,
    /// Those that talk to other nodes.
    tasks: OnceLock<Vec<AbortHandle>>,
}

pub(super) struct PresenceParts {
    pub(super) name: String,
    pub(super) pool_size: NonZeroU32,
    pub(super) shards: Vec<Arc<Shard>>,
    pub(super) state_event: Text,
    pub(super) fetch: Option<Fetch>,
    pub(super) permdown_on_shutdown: bool,
}

impl Presence {
    /// Options for a presence. The name is that of the group of nodes that share it; different presences of an
    /// application need different ones.
    pub fn builder(name: &str) -> PresenceBuilder {
        PresenceBuilder::new(name)
    }

    /// Adds a presence of this channel under a key of its topic; returns the `phx_ref`, which the meta gets too
    /// (FEATURES J6).
    ///
    /// # Errors
    /// [`TrackError`]; then nothing has changed.
    pub fn track<C: Channel>(
        &self,
        cx: &mut Context<C>,
        key: &str,
        meta: impl Serialize,
    ) -> Result<PhxRef, TrackError> {
        let (owner, topic) = cx.presence_owner(self);
        owner.track(topic, key, meta)
    }

    /// Replaces the meta that this channel tracks under a key; returns its new `phx_ref` (FEATURES J9).
    ///
    /// # Errors
    /// [`UpdateError`]; then nothing has changed.
    pub fn update<C: Channel>(
        &self,
        cx: &mut Context<C>,
        key: &str,
        meta: impl Serialize,
    ) -> Result<PhxRef, UpdateError> {
        let (owner, topic) = cx.presence_owner(self);
        owner.update(topic, key, meta)
    }

    /// Replaces the meta that this channel tracks under a key by one made from it. `change` must not use this presence.
    ///
    /// # Errors
    /// [`UpdateError`]; then nothing has changed.
    pub fn update_with<C: Channel>(
        &self,
        cx: &mut Context<C>,
        key: &str,
        change: impl FnOnce(Map<String, Value>) -> Map<String, Value>,
    ) -> Result<PhxRef, UpdateError> {
        let (owner, topic) = cx.presence_owner(self);
        owner.update_with(topic, key, change)
    }

    /// Removes what this channel tracks under a key, if it does (FEATURES J8).
    pub fn untrack<C: Channel>(&self, cx: &mut Context<C>, key: &str) {
        let (owner, topic) = cx.presence_owner(self);
        owner.untrack(topic, key);
    }

    /// What this channel tracks, to track in other topics than its own too; it ends with the channel.
    pub fn of<'a, C: Channel>(&self, cx: &'a mut Context<C>) -> &'a mut PresenceOwner {
        cx.presence_owner(self).0
    }

    /// An owner of presences for something else than a channel.
    pub fn owner(&self) -> PresenceOwner {
        let number = self.inner.owners.fetch_add(1, Ordering::Relaxed);
        PresenceOwner::new(self.clone(), Owner(number))
    }

    /// The presences of a topic by key, with what the fetch hook adds (FEATURES J10).
    pub async fn list(&self, topic: &str) -> Presences {
        let list = self.snapshot(topic);
        self.fetched(topic, Presences::from_entries(list.iter())).await
    }

    /// The presence of one key, with what the fetch hook adds (FEATURES J11).
    pub async fn get_by_key(&self, topic: &str, key: &str) -> Option<KeyPresence> {
        let list = self.snapshot(topic);
        let presences = Presences::from_entries(list.of_key(key));
        if presences.is_empty() {
            return None;
        }
        self.fetched(topic, presences).await.remove(key)
    }

    /// The presences of a topic, without what the fetch hook adds: at no cost, however many there are.
    pub fn snapshot(&self, topic: &str) -> TopicList {
        self.shard_of(topic).list(topic)
    }

    /// Pushes the list of a channel's topic to its client as `presence_state` (FEATURES J17).
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn push_state<C: Channel>(&self, cx: &Context<C>) -> Result<(), SendError> {
        let payload = match self.inner.parts.fetch {
            Some(_) => Payload::from(&self.list(cx.topic()).await),
            None => Payload::from(&self.snapshot(cx.topic())),
        };
        cx.push(&self.inner.parts.state_event, payload)
    }

    /// Waits until every change so far is published on this node and observed, for tests with hooks (FEATURES J15).
    pub async fn settled(&self) {
        join_all(self.inner.parts.shards.iter().map(|shard| shard.lanes.idle())).await;
    }

    /// Leaves for good: the other nodes forget the presences of this one at once, instead of waiting for it to come back
    /// (FEATURES L7). Nothing can be tracked here any more, and nothing is listed.
    ///
    /// The message is sent as all broadcasts are: the process must live for a moment.
    pub fn graceful_permdown(&self) {
        self.inner.graceful_permdown();
    }

    /// The other nodes this one has heard of, sorted, and whether their presences are listed (FEATURES L25).
    pub fn nodes(&self) -> Vec<(NodeName, ReplicaStatus)> {
        let state = |tracker: &Tracker| {
            tracker
                .replicas()
                .map(|(replica, status)| (NodeName::new(Arc::clone(replica.node())), status))
                .collect()
        };
        self.shard(0).read(state)
    }

    /// What was ignored, lost or could not be done.
    pub fn stats(&self) -> PresenceStats {
        let mut stats = PresenceStats::default();
        self.inner.parts.shards.iter().for_each(|shard| shard.add_stats(&mut stats));
        stats
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.inner.parts.name
    }

    async fn fetched(&self, topic: &str, presences: Presences) -> Presences {
        match &self.inner.parts.fetch {
            Some(fetch) => fetch.add_to(topic.into(), presences).await,
            None => presences,
        }
    }

    pub(super) fn shard_index(&self, topic: &str) -> usize {
        usize::try_from(shard_of(topic, self.inner.parts.pool_size)).unwrap_or_default()
    }

    pub(super) fn shard(&self, index: usize) -> &Arc<Shard> {
        &self.inner.parts.shards[index]
    }

    pub(super) fn shard_of(&self, topic: &str) -> &Arc<Shard> {
        self.shard(self.shard_index(topic))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl From<Arc<Inner>> for Presence {
    fn from(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl Inner {
    pub(super) fn new(parts: PresenceParts) -> Self {
        Self { parts, owners: AtomicU64::new(0), tasks: OnceLock::new() }
    }

    /// Starts to talk to other nodes.
    pub(super) fn gossip(&self, pubsub: &PubSub) {
        let gossip = |shard: &Arc<Shard>| {
            let messages = pubsub.subscribe_with_capacity(shard.gossip().clone(), gossip::INBOX);
            tokio::spawn(gossip::run(Arc::clone(shard), messages)).abort_handle()
        };
        self.tasks.get_or_init(|| self.parts.shards.iter().map(gossip).collect());
    }

    /// What there is to do when the server shuts down in order.
    pub(super) fn shut_down(&self) {
        if self.parts.permdown_on_shutdown {
            self.graceful_permdown();
        }
    }

    fn graceful_permdown(&self) {
        for shard in &self.parts.shards {
            shard.change(|tracker, _| tracker.graceful_permdown());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
        self.tasks.get().into_iter().flatten().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Presence").field(&self.name()).finish()
    }
}
