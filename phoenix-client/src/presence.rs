//! Who is there: the presences of a channel (protocol §23).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use phoenix_proto::presence::{
    Presence as Entry, PresenceEvent, PresenceSync, PresenceSyncConfig, Presences,
};
use phoenix_proto::{Message, Ref};
use tokio::sync::broadcast;

use crate::channel::Channel;
use crate::events::{ChannelEvent, Events, Lag, events};
use crate::shared::{CallbackId, guarded};

/// The presences of one channel, kept up to date by its `presence_state` and `presence_diff` messages
/// (FEATURES T).
///
/// It is a handle, and one of its channel too: clones are the same view, and dropping the last one ends it. The
/// view outlives reconnects, so the first state after one tells precisely who came and went meanwhile. Diffs that
/// come before the state of the present join wait for it.
#[derive(Clone)]
pub struct Presence {
    handle: Arc<Handle>,
}

/// One change of the presences of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceChange {
    /// Somebody joined or left, or the list is up to date.
    Event(PresenceEvent),
    /// A presence message could not be read and was ignored, so the view may be wrong until the next state.
    Malformed,
    /// The stream was read too slowly, and so many changes in front of the next one were dropped;
    /// [`Presence::list`] has them all.
    Lagged(u64),
}

/// Ends the view when the last handle is gone.
struct Handle {
    channel: Channel,
    view: Arc<View>,
    /// Owned by the callback of the channel alone, so that streams and callbacks end with the channel.
    listeners: Weak<Listeners>,
    callback: CallbackId,
}

/// What the messages of the channel fill.
struct View {
    sync: Mutex<PresenceSync>,
    malformed: AtomicU64,
}

/// Whom changes are told to.
struct Listeners {
    callbacks: Mutex<Callbacks>,
    changes: broadcast::Sender<PresenceChange>,
}

#[derive(Default)]
struct Callbacks {
    last: u64,
    all: Vec<(CallbackId, Arc<Callback>)>,
}

type Callback = dyn Fn(&PresenceEvent) + Send + Sync;

impl Presence {
    /// Who is there, in the order in which the keys came.
    pub fn list(&self) -> Presences {
        self.handle.view.sync.lock().presences().clone()
    }

    /// What a function makes of every presence, in the order in which the keys came (`list(by)`).
    pub fn list_by<T>(&self, mut by: impl FnMut(&str, &Entry) -> T) -> Vec<T> {
        // The function is called without the lock, so that it may use this handle.
        self.list().iter().map(|(key, presence)| by(key, presence)).collect()
    }

    /// The presence of one key.
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.handle.view.sync.lock().presences().get(key).cloned()
    }

    /// Whether the state of the present join has not come yet, so that diffs wait for it.
    pub fn in_pending_sync_state(&self) -> bool {
        let join_ref = self.handle.channel.join_ref();
        self.handle.view.sync.lock().in_pending_sync_state(text(join_ref.as_ref()))
    }

    /// Calls a function whenever metas join a key, with the key, its presence before, and the presence with only
    /// the metas that joined.
    ///
    /// As for all callbacks here: any number of them is called in the order they were made, by the task of the
    /// socket, so they must not block; the list is up to date already; a panic is logged and has no further effect.
    pub fn on_join(
        &self,
        callback: impl Fn(&str, Option<&Entry>, &Entry) + Send + Sync + 'static,
    ) -> CallbackId {
        self.on_event(move |event| {
            if let PresenceEvent::Join { key, current, joined } = event {
                callback(key, current.as_ref(), joined);
            }
        })
    }

    /// Calls a function whenever metas leave a key, with the key, its presence without them, and the presence with
    /// only the metas that left. With no metas remaining, the key is gone.
    pub fn on_leave(&self, callback: impl Fn(&str, &Entry, &Entry) + Send + Sync + 'static) -> CallbackId {
        self.on_event(move |event| {
            if let PresenceEvent::Leave { key, current, left } = event {
                callback(key, current, left);
            }
        })
    }

    /// Calls a function whenever the list is up to date after a state or a diff.
    pub fn on_sync(&self, callback: impl Fn() + Send + Sync + 'static) -> CallbackId {
        self.on_event(move |event| {
            if *event == PresenceEvent::Sync {
                callback();
            }
        })
    }

    /// Calls a function for every change.
    pub fn on_event(&self, callback: impl Fn(&PresenceEvent) + Send + Sync + 'static) -> CallbackId {
        let Some(listeners) = self.handle.listeners.upgrade() else { return CallbackId(0) };
        let mut callbacks = listeners.callbacks.lock();
        callbacks.last += 1;
        let id = CallbackId(callbacks.last);
        callbacks.all.push((id, Arc::new(callback)));
        id
    }

    /// Does not call a callback any more; harmless when it is none of this handle.
    pub fn off(&self, callback: CallbackId) {
        let Some(listeners) = self.handle.listeners.upgrade() else { return };
        let mut callbacks = listeners.callbacks.lock();
        if let Some(index) = callbacks.all.iter().position(|(id, _)| *id == callback) {
            callbacks.all.remove(index);
        }
    }

    /// The changes from now on, in the order they happen. The stream ends with the channel; it falls behind as
    /// that of [`Channel::events`] does.
    pub fn changes(&self) -> Events<PresenceChange> {
        // Of a channel that is over, the stream is over as well.
        let receiver = match self.handle.listeners.upgrade() {
            Some(listeners) => listeners.changes.subscribe(),
            None => broadcast::channel(1).1,
        };
        events(receiver, self.clone())
    }

    /// How many diffs were dropped because too many came before their state.
    pub fn dropped_diffs(&self) -> u64 {
        self.handle.view.sync.lock().dropped_diffs()
    }

    /// How many presence messages could not be read.
    pub fn malformed(&self) -> u64 {
        self.handle.view.malformed.load(Ordering::Relaxed)
    }

    /// The channel.
    pub fn channel(&self) -> &Channel {
        &self.handle.channel
    }

    pub(crate) fn new(channel: Channel, config: PresenceSyncConfig, event_buffer: usize) -> Self {
        let view =
            Arc::new(View { sync: Mutex::new(PresenceSync::new(config)), malformed: AtomicU64::new(0) });
        let listeners = Arc::new(Listeners {
            callbacks: Mutex::default(),
            changes: broadcast::Sender::new(event_buffer),
        });
        let told = Arc::downgrade(&listeners);
        let filled = Arc::clone(&view);
        let callback = channel.on_told(move |event, join_ref| {
            if let ChannelEvent::Message(message) = event {
                filled.take(message, join_ref).into_iter().for_each(|change| listeners.tell(change));
            }
        });
        Self { handle: Arc::new(Handle { channel, view, listeners: told, callback }) }
    }
}

impl View {
    /// Updates the list, and returns what that means.
    fn take(&self, message: &Message, join_ref: Option<&Ref>) -> Vec<PresenceChange> {
        let Some(payload) = message.payload.as_json() else { return Vec::new() };
        let mut sync = self.sync.lock();
        let taken = sync.handle_message(message.event.as_str(), payload.as_str().as_bytes(), text(join_ref));
        if let Err(error) = taken {
            tracing::warn!(%error, topic = message.topic.as_str(), "a presence message cannot be read");
            self.malformed.fetch_add(1, Ordering::Relaxed);
            return vec![PresenceChange::Malformed];
        }
        std::iter::from_fn(|| sync.poll_event()).map(PresenceChange::Event).collect()
    }
}

impl Listeners {
    fn tell(&self, change: PresenceChange) {
        if let PresenceChange::Event(event) = &change {
            // A snapshot: a callback may add and remove others.
            let callbacks: Vec<_> =
                self.callbacks.lock().all.iter().map(|(_, callback)| Arc::clone(callback)).collect();
            for callback in callbacks {
                guarded(|| callback(event));
            }
        }
        // A receiver that is gone does not want to know.
        let _ = self.changes.send(change);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.channel.drop_callback(self.callback);
    }
}

impl Lag for PresenceChange {
    fn lagged(count: u64) -> Self {
        Self::Lagged(count)
    }
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presence").field("channel", &self.handle.channel).finish_non_exhaustive()
    }
}

/// References are compared by their JSON; without one there has been no join.
fn text(join_ref: Option<&Ref>) -> &str {
    join_ref.map_or("", Ref::as_json)
}
