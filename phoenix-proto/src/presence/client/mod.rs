mod sync;

use std::collections::VecDeque;
use std::sync::Arc;

use super::grouped::{Presence, PresenceDiff, Presences};

pub use sync::{sync_diff, sync_state};

/// What a client learns about presences (protocol §23).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceEvent {
    /// Metas joined under a key.
    Join {
        /// The key.
        key: Arc<str>,
        /// The presence before, if the key was there.
        current: Option<Presence>,
        /// The presence with only the metas that joined.
        joined: Presence,
    },
    /// Metas left a key.
    Leave {
        /// The key.
        key: Arc<str>,
        /// The presence without the metas that left. With no metas remaining, the key is removed.
        current: Presence,
        /// The presence with only the metas that left.
        left: Presence,
    },
    /// The list is up to date.
    Sync,
}

/// Names and limits of a [`PresenceSync`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PresenceSyncConfig {
    /// The event with the whole list. Default `presence_state`.
    pub state_event: String,
    /// The event with changes. Default `presence_diff`.
    pub diff_event: String,
    /// How many diffs are kept while waiting for the state. Beyond it the oldest is dropped and counted; the state
    /// still to come is younger than it. Default 1,000.
    pub max_pending_diffs: usize,
}

impl Default for PresenceSyncConfig {
    fn default() -> Self {
        Self {
            state_event: "presence_state".to_owned(),
            diff_event: "presence_diff".to_owned(),
            max_pending_diffs: 1_000,
        }
    }
}

/// The payload of a presence event is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("malformed presence payload")]
pub struct PresencePayloadError(#[from] serde_json::Error);

/// A client's view of the presences of one channel (protocol §23).
///
/// Feed it the messages of the channel with the channel's present join ref, drain the events. The view outlives
/// reconnects, so the first state afterwards tells precisely who came and went meanwhile.
#[derive(Clone, Debug, Default)]
pub struct PresenceSync {
    config: PresenceSyncConfig,
    presences: Presences,
    pending: VecDeque<PresenceDiff>,
    synced_for: Option<Box<str>>,
    events: VecDeque<PresenceEvent>,
    dropped_diffs: u64,
}

impl PresenceSync {
    /// An empty view.
    pub fn new(config: PresenceSyncConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// A message of the channel came; returns whether it was one of the two presence events.
    pub fn handle_message(
        &mut self,
        event: &str,
        payload: &[u8],
        join_ref: &str,
    ) -> Result<bool, PresencePayloadError> {
        if event == self.config.state_event {
            self.handle_state(serde_json::from_slice(payload)?, join_ref);
        } else if event == self.config.diff_event {
            self.handle_diff(serde_json::from_slice(payload)?, join_ref);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The whole list came: takes it over, and then the diffs that waited for it.
    pub fn handle_state(&mut self, state: Presences, join_ref: &str) {
        self.synced_for = Some(join_ref.into());
        let (presences, events) = sync_state(std::mem::take(&mut self.presences), state);
        self.presences = presences;
        self.events.extend(events);
        while let Some(diff) = self.pending.pop_front() {
            self.apply(diff);
        }
        self.events.push_back(PresenceEvent::Sync);
    }

    /// Changes came: applies them, or keeps them until the state of this join is there.
    pub fn handle_diff(&mut self, diff: PresenceDiff, join_ref: &str) {
        if self.in_pending_sync_state(join_ref) {
            self.pending.push_back(diff);
            if self.pending.len() > self.config.max_pending_diffs {
                self.pending.pop_front();
                self.dropped_diffs += 1;
            }
        } else {
            self.apply(diff);
            self.events.push_back(PresenceEvent::Sync);
        }
    }

    /// Whether the state of this join has not come yet.
    pub fn in_pending_sync_state(&self, join_ref: &str) -> bool {
        self.synced_for.as_deref() != Some(join_ref)
    }

    /// The presences, in the order their keys came.
    pub fn presences(&self) -> &Presences {
        &self.presences
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<PresenceEvent> {
        self.events.pop_front()
    }

    /// How many diffs were dropped while waiting for a state.
    pub fn dropped_diffs(&self) -> u64 {
        self.dropped_diffs
    }

    fn apply(&mut self, diff: PresenceDiff) {
        let (presences, events) = sync_diff(std::mem::take(&mut self.presences), diff);
        self.presences = presences;
        self.events.extend(events);
    }
}

#[cfg(test)]
mod tests;
