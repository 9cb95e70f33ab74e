use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::shard::Shard;

thread_local! {
    /// Whether a callback is being polled on this thread.
    static POLLING: Cell<bool> = const { Cell::new(false) };
    /// The topics with diffs to publish when that is over.
    static TOPICS: RefCell<Vec<(Arc<Shard>, Arc<str>)>> = const { RefCell::new(Vec::new()) };
}

/// Polls the callback of a channel: what it changes is published when it returns or first waits, so that the reply of
/// a callback comes before the diff it caused, as it does in Phoenix.
pub(crate) fn until_it_waits<T>(poll: impl FnOnce() -> T) -> T {
    /// Publishes also when the callback panics.
    struct Scope;

    impl Drop for Scope {
        fn drop(&mut self) {
            POLLING.set(false);
            while let Some((shard, topic)) = TOPICS.with_borrow_mut(pop_first) {
                shard.publish(&topic);
            }
        }
    }

    if POLLING.replace(true) {
        return poll();
    }
    let _scope = Scope;
    poll()
}

/// Publishes the diffs of a topic now, or when the callback that is being polled has returned.
pub(super) fn publish(shard: &Arc<Shard>, topic: Arc<str>) {
    // While a thread ends there may be no list any more.
    if POLLING.try_with(Cell::get).unwrap_or_default() {
        TOPICS.with_borrow_mut(|topics| topics.push((Arc::clone(shard), topic)));
    } else {
        shard.publish(&topic);
    }
}

fn pop_first<T>(list: &mut Vec<T>) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(0))
}
