use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use phoenix_proto::Text;
use tokio::sync::{Notify, watch};

/// The engine's view of the topics that have subscribers on this node.
///
/// Changes are coalesced by topic, so that what waits for a slow engine is never more than there are topics.
pub struct Interests {
    ledger: Arc<Ledger>,
}

/// Topics to subscribe to and to unsubscribe from. Every topic of one batch differs.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterestChanges {
    /// Topics that have subscribers on this node now.
    pub subscribe: Vec<Text>,
    /// Topics that have none any more.
    pub unsubscribe: Vec<Text>,
    /// The last change in it, or none if there are more.
    version: Option<u64>,
}

/// The topics with subscribers on this node, and what the engine knows of them.
#[derive(Default)]
pub(in crate::pubsub) struct Ledger {
    state: Mutex<State>,
    changed: Notify,
    settled: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    wanted: HashSet<Text>,
    /// Those that the engine was told to subscribe to.
    told: HashSet<Text>,
    changed: HashSet<Text>,
    /// Counts the changes.
    version: u64,
    /// Up to which change the engine was told.
    told_version: u64,
}

/// How many topics are in one batch at most.
const BATCH: usize = 512;

impl Ledger {
    /// A topic got its first subscriber, or lost its last.
    pub(in crate::pubsub) fn set(&self, topic: &Text, wanted: bool) {
        let mut state = self.state.lock();
        let changed = if wanted { state.wanted.insert(topic.clone()) } else { state.wanted.remove(&**topic) };
        if changed {
            state.changed.insert(topic.clone());
            state.version += 1;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Waits until the engine has made all the changes there are now.
    pub(in crate::pubsub) async fn settled(&self) {
        let version = self.state.lock().version;
        // The sender is in this very ledger.
        let _ = self.settled.subscribe().wait_for(|settled| *settled >= version).await;
    }
}

impl Interests {
    pub(in crate::pubsub) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// Waits for changes and takes a batch of them. Cancelling the wait loses nothing. It does not end with the PubSub;
    /// [`Outbox::recv`](super::Outbox::recv) does.
    ///
    /// A batch may be empty, as when a topic changed to and fro; it has to be settled all the same.
    pub async fn recv(&mut self) -> InterestChanges {
        loop {
            {
                let mut state = self.ledger.state.lock();
                if state.told_version != state.version {
                    return state.take();
                }
            }
            self.ledger.changed.notified().await;
        }
    }

    /// The changes are in force: what other nodes publish to the topics from here on arrives.
    pub fn settled(&self, changes: &InterestChanges) {
        if let Some(version) = changes.version {
            self.ledger.settled.send_replace(version);
        }
    }

    /// Forgets what was told, as after the loss of a connection with all its subscriptions: [`recv`](Self::recv)
    /// gives every topic again.
    pub fn restart(&self) {
        let mut state = self.ledger.state.lock();
        let state = &mut *state;
        state.told.clear();
        state.changed.clone_from(&state.wanted);
        state.version += 1;
        self.ledger.changed.notify_one();
    }
}

impl State {
    fn take(&mut self) -> InterestChanges {
        let mut changes = InterestChanges::default();
        let batch: Vec<_> = self.changed.iter().take(BATCH).cloned().collect();
        for topic in batch {
            self.changed.remove(&topic);
            if self.wanted.contains(&topic) {
                if self.told.insert(topic.clone()) {
                    changes.subscribe.push(topic);
                }
            } else if self.told.remove(&topic) {
                changes.unsubscribe.push(topic);
            }
        }
        if self.changed.is_empty() {
            self.told_version = self.version;
            changes.version = Some(self.version);
            self.changed.shrink_to(BATCH);
        }
        changes
    }
}

impl fmt::Debug for Interests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interests").field("topics", &self.ledger.state.lock().wanted.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ledger() -> (Arc<Ledger>, Interests) {
        let ledger = Arc::<Ledger>::default();
        (Arc::clone(&ledger), Interests::new(ledger))
    }

    fn next(interests: &mut Interests) -> Option<(Vec<Text>, Vec<Text>)> {
        let changes = interests.recv().now_or_never()?;
        interests.settled(&changes);
        Some((changes.subscribe, changes.unsubscribe))
    }

    #[test]
    fn only_the_difference_to_what_was_told_is_told() {
        let (ledger, mut interests) = ledger();
        assert_eq!(next(&mut interests), None);
        ledger.set(&"a".into(), true);
        ledger.set(&"b".into(), true);
        ledger.set(&"b".into(), false);
        assert_eq!(next(&mut interests), Some((vec!["a".into()], vec![])));
        ledger.set(&"a".into(), false);
        ledger.set(&"a".into(), true);
        assert_eq!(next(&mut interests), Some((vec![], vec![])));
        ledger.set(&"a".into(), false);
        assert_eq!(next(&mut interests), Some((vec![], vec!["a".into()])));
        assert_eq!(next(&mut interests), None);
    }

    #[test]
    fn a_restart_tells_everything_again_in_batches() {
        let (ledger, mut interests) = ledger();
        let topics: HashSet<Text> = (0..=BATCH).map(|n| format!("t{n}").into()).collect();
        for topic in &topics {
            ledger.set(topic, true);
        }
        for _ in 0..2 {
            let (first, _) = next(&mut interests).unwrap();
            let (second, _) = next(&mut interests).unwrap();
            assert_eq!((first.len(), second.len()), (BATCH, 1));
            assert_eq!(first.into_iter().chain(second).collect::<HashSet<_>>(), topics);
            assert_eq!(next(&mut interests), None);
            interests.restart();
        }
    }

    #[test]
    fn settled_waits_for_the_engine() {
        let (ledger, mut interests) = ledger();
        assert!(ledger.settled().now_or_never().is_some());
        ledger.set(&"a".into(), true);
        assert!(ledger.settled().now_or_never().is_none());
        let changes = interests.recv().now_or_never().unwrap();
        assert!(ledger.settled().now_or_never().is_none());
        interests.settled(&changes);
        assert!(ledger.settled().now_or_never().is_some());
        interests.restart();
        assert!(ledger.settled().now_or_never().is_none());
    }
}
