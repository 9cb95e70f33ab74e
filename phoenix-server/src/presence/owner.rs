use std::fmt;

use phoenix_proto::presence::{
    MetaTooLarge, Owner, PhxRef, TrackError as Untracked, UpdateError as Unchanged,
};
use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::handle::Presence;

/// Who presences belong to: when it is dropped they end.
///
/// Every channel has one for each [`Presence`] it uses, see [`Presence::of`]; [`Presence::owner`] makes one for anything
/// else that comes and goes. What one owner has is nobody else's: two owners may have the same key in the same topic,
/// which then has two metas.
pub struct PresenceOwner {
    presence: Presence,
    owner: Owner,
    /// The shards it has been to.
    shards: Vec<usize>,
}

/// A presence that was not tracked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrackError {
    /// This owner has that key in that topic already (FEATURES J23).
    #[error("already tracked")]
    AlreadyTracked,
    /// The meta exceeds [`TrackerConfig::max_meta_bytes`](phoenix_proto::presence::TrackerConfig::max_meta_bytes).
    #[error(transparent)]
    MetaTooLarge(#[from] MetaTooLarge),
    /// The meta is no JSON object.
    #[error(transparent)]
    Meta(#[from] serde_json::Error),
    /// The presence was shut down.
    #[error("the presence was shut down")]
    Stopped,
}

/// A presence that was not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// This owner does not have that key in that topic (FEATURES J23).
    #[error("no such presence")]
    NoPresence,
    /// The meta exceeds [`TrackerConfig::max_meta_bytes`](phoenix_proto::presence::TrackerConfig::max_meta_bytes).
    #[error(transparent)]
    MetaTooLarge(#[from] MetaTooLarge),
    /// The meta is no JSON object.
    #[error(transparent)]
    Meta(#[from] serde_json::Error),
}

impl PresenceOwner {
    pub(super) fn new(presence: Presence, owner: Owner) -> Self {
        Self { presence, owner, shards: Vec::new() }
    }

    /// Adds a presence; returns its `phx_ref`, which the meta gets too (FEATURES J7).
    ///
    /// # Errors
    /// [`TrackError`]; then nothing has changed.
    pub fn track(&mut self, topic: &str, key: &str, meta: impl Serialize) -> Result<PhxRef, TrackError> {
        let meta = object(meta)?;
        let shard = self.presence.shard_index(topic);
        let owner = self.owner;
        let tracked =
            self.presence.shard(shard).change(|tracker, now| tracker.track(owner, topic, key, meta, now))?;
        if !self.shards.contains(&shard) {
            self.shards.push(shard);
        }
        Ok(tracked)
    }

    /// Replaces the meta of a presence; returns its new `phx_ref`. The meta also gets the old one, as `phx_ref_prev`
    /// (FEATURES J9, J18).
    ///
    /// # Errors
    /// [`UpdateError`]; then nothing has changed.
    pub fn update(&mut self, topic: &str, key: &str, meta: impl Serialize) -> Result<PhxRef, UpdateError> {
        let meta = object(meta)?;
        self.update_with(topic, key, |_| meta)
    }

    /// Replaces the meta of a presence by one made from it. `change` must not use this presence.
    ///
    /// # Errors
    /// [`UpdateError`]; then nothing has changed.
    pub fn update_with(
        &mut self,
        topic: &str,
        key: &str,
        change: impl FnOnce(Map<String, Value>) -> Map<String, Value>,
    ) -> Result<PhxRef, UpdateError> {
        let owner = self.owner;
        let shard = self.presence.shard_of(topic);
        Ok(shard.change(|tracker, now| tracker.update_with(owner, topic, key, change, now))?)
    }

    /// Removes a presence, if it is there (FEATURES J8).
    pub fn untrack(&mut self, topic: &str, key: &str) {
        let owner = self.owner;
        self.presence.shard_of(topic).change(|tracker, _| tracker.untrack(owner, topic, key));
    }

    /// Removes all presences of this owner (FEATURES L3).
    pub fn untrack_all(&mut self) {
        let owner = self.owner;
        for shard in std::mem::take(&mut self.shards) {
            self.presence.shard(shard).change(|tracker, _| tracker.untrack_all(owner));
        }
    }

    pub(crate) fn belongs_to(&self, presence: &Presence) -> bool {
        self.presence.is(presence)
    }
}

impl Drop for PresenceOwner {
    fn drop(&mut self) {
        self.untrack_all();
    }
}

impl fmt::Debug for PresenceOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PresenceOwner").field(&self.presence.name()).field(&self.owner.0).finish()
    }
}

fn object(meta: impl Serialize) -> Result<Map<String, Value>, serde_json::Error> {
    let value = serde_json::to_value(meta)?;
    serde_json::from_value(value)
}

impl From<Untracked> for TrackError {
    fn from(error: Untracked) -> Self {
        match error {
            Untracked::AlreadyTracked => Self::AlreadyTracked,
            Untracked::MetaTooLarge(error) => Self::MetaTooLarge(error),
            _ => Self::Stopped,
        }
    }
}

impl From<Unchanged> for UpdateError {
    fn from(error: Unchanged) -> Self {
        match error {
            Unchanged::MetaTooLarge(error) => Self::MetaTooLarge(error),
            _ => Self::NoPresence,
        }
    }
}
