//! What the sockets, the channels and the control routes of the process share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use phoenix_server::{ChannelHandle, Presence, SecretKeyBase, SendError, SessionConfig, SessionStore};
use serde_json::Value;

/// The state of the application.
pub(super) struct App {
    channels: Mutex<Members>,
    log: Mutex<VecDeque<Value>>,
    pub(super) sessions: Arc<SessionStore>,
    /// Kept alive here; channels find them by name.
    presences: Mutex<Vec<Presence>>,
}

/// By topic and then in the order of joining: one map, because load tests join very many topics.
#[derive(Default)]
struct Members {
    next: u64,
    channels: BTreeMap<(Arc<str>, u64), Arc<dyn Reach>>,
}

/// The control route `info` has something for a channel.
#[derive(Debug, Clone)]
pub(super) struct Ctl(pub(super) Value);

/// A channel, whatever its type.
pub(super) trait Reach: Send + Sync {
    fn tell(&self, ctl: Ctl) -> Result<(), SendError>;

    fn abort(&self) -> Result<(), SendError>;

    fn drain(&self) -> Result<(), SendError>;

    /// Whether an exit signal that can be trapped is a message it ignores.
    fn traps_exit(&self) -> bool;
}

/// A channel that control routes can reach.
struct Listed<I> {
    handle: ChannelHandle<I>,
    traps_exit: bool,
}

/// The entry of a channel in the list of those that control routes can reach; it ends with the channel.
pub(super) struct Membership {
    topic: Arc<str>,
    number: u64,
}

/// Entries of the log beyond this number push the oldest out.
const LOG_LIMIT: usize = 10_000;

/// The application of this process.
pub(super) fn app() -> &'static App {
    static APP: LazyLock<App> = LazyLock::new(App::new);
    &APP
}

/// That of the endpoint and its sessions.
pub(super) fn secret() -> SecretKeyBase {
    SecretKeyBase::new([7; 64]).expect("64 bytes are enough")
}

impl App {
    fn new() -> Self {
        let config = SessionConfig::new("_oracle_key", "oracle12");
        let sessions = SessionStore::new(config, &secret()).expect("the name is a token");
        Self {
            channels: Mutex::default(),
            log: Mutex::default(),
            sessions: Arc::new(sessions),
            presences: Mutex::default(),
        }
    }

    pub(super) fn keep(&self, presences: impl IntoIterator<Item = Presence>) {
        lock(&self.presences).extend(presences);
    }

    pub(super) fn log(&self, entry: Value) {
        let mut log = lock(&self.log);
        if log.len() == LOG_LIMIT {
            log.pop_front();
        }
        log.push_back(entry);
    }

    pub(super) fn log_entries(&self) -> Vec<Value> {
        lock(&self.log).iter().cloned().collect()
    }

    pub(super) fn clear_log(&self) {
        lock(&self.log).clear();
    }

    /// The joined channels of a topic.
    pub(super) fn channels(&self, topic: &str) -> Vec<Arc<dyn Reach>> {
        let topic: Arc<str> = topic.into();
        let range = (Arc::clone(&topic), 0)..=(topic, u64::MAX);
        lock(&self.channels).channels.range(range).map(|(_, channel)| Arc::clone(channel)).collect()
    }

    pub(super) fn enlist<I: From<Ctl> + Send + 'static>(
        &self,
        handle: ChannelHandle<I>,
        traps_exit: bool,
    ) -> Membership {
        let topic: Arc<str> = handle.topic().into();
        let mut members = lock(&self.channels);
        members.next += 1;
        let number = members.next;
        members.channels.insert((Arc::clone(&topic), number), Arc::new(Listed { handle, traps_exit }));
        Membership { topic, number }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let entry = (Arc::clone(&self.topic), self.number);
        // Dropped after the lock is free: it may be the last handle.
        let channel = lock(&app().channels).channels.remove(&entry);
        drop(channel);
    }
}

impl<I: From<Ctl> + Send + 'static> Reach for Listed<I> {
    fn tell(&self, ctl: Ctl) -> Result<(), SendError> {
        self.handle.send(ctl.into())
    }

    fn abort(&self) -> Result<(), SendError> {
        self.handle.abort()
    }

    fn drain(&self) -> Result<(), SendError> {
        self.handle.drain()
    }

    fn traps_exit(&self) -> bool {
        self.traps_exit
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done when a holder panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
