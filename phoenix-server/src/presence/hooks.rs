use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};
use phoenix_proto::presence::{PresenceDiff, Presences, TopicList};
use tokio::sync::Mutex;

use super::stats::Counters;

/// Follows the presences of all topics on this node, as a client would: what `handle_metas` is in Phoenix (FEATURES J13,
/// J14). Its fields are its state.
///
/// Each shard has an observer of its own, which is told of one diff after the other, after the clients were. While it
/// waits, the next diffs of the shard do.
pub trait PresenceObserver: Send + 'static {
    /// A topic has changed by `diff`, which has what the fetch hook added; `presences` are those after the change, none if
    /// the last has left. A panic is logged.
    fn handle_metas(
        &mut self,
        topic: &str,
        diff: &PresenceDiff,
        presences: &TopicList,
    ) -> impl Future<Output = ()> + Send;
}

/// An observer without its type.
trait Observe: Send {
    fn observe<'a>(
        &'a mut self,
        topic: &'a str,
        diff: &'a PresenceDiff,
        presences: &'a TopicList,
    ) -> BoxFuture<'a, ()>;
}

impl<O: PresenceObserver> Observe for O {
    fn observe<'a>(
        &'a mut self,
        topic: &'a str,
        diff: &'a PresenceDiff,
        presences: &'a TopicList,
    ) -> BoxFuture<'a, ()> {
        self.handle_metas(topic, diff, presences).boxed()
    }
}

/// The fetch hook of a presence.
#[derive(Clone)]
pub(super) struct Fetch {
    fetch: Arc<FetchFn>,
    timeout: Duration,
}

type FetchFn = dyn Fn(Arc<str>, Presences) -> BoxFuture<'static, Presences> + Send + Sync;

/// Makes the observer of a shard.
pub(super) type MakeObserver = Box<dyn Fn() -> Observer + Send>;

/// How long the hook may take for a diff.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The observer of a shard.
pub(super) struct Observer(Mutex<Box<dyn Observe>>);

impl Fetch {
    pub(super) fn new<F>(fetch: impl Fn(Arc<str>, Presences) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Presences> + Send + 'static,
    {
        let fetch = move |topic, presences| fetch(topic, presences).boxed();
        Self { fetch: Arc::new(fetch), timeout: DEFAULT_TIMEOUT }
    }

    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Adds to presences that were asked for.
    pub(super) async fn add_to(&self, topic: Arc<str>, presences: Presences) -> Presences {
        (self.fetch)(topic, presences).await
    }

    /// Adds to a diff; what goes wrong is counted, and the diff left as it was.
    pub(super) async fn add_to_diff(
        &self,
        topic: &Arc<str>,
        diff: PresenceDiff,
        counters: &Counters,
    ) -> PresenceDiff {
        let PresenceDiff { joins, leaves } = diff;
        let (joins, leaves) =
            join(self.guarded(topic, joins, counters), self.guarded(topic, leaves, counters)).await;
        PresenceDiff { joins, leaves }
    }

    async fn guarded(&self, topic: &Arc<str>, presences: Presences, counters: &Counters) -> Presences {
        if presences.is_empty() {
            return presences;
        }
        let fetch = async { self.add_to(Arc::clone(topic), presences.clone()).await };
        let fetch = AssertUnwindSafe(fetch).catch_unwind();
        match tokio::time::timeout(self.timeout, fetch).await {
            Ok(Ok(fetched)) => return fetched,
            Ok(Err(_)) => tracing::error!(%topic, "the fetch hook panicked"),
            Err(_) => tracing::error!(%topic, "the fetch hook took too long"),
        }
        counters.failed_fetches.add(1);
        presences
    }
}

impl Observer {
    pub(super) fn new(observer: impl PresenceObserver) -> Self {
        Self(Mutex::new(Box::new(observer)))
    }

    pub(super) async fn observe(&self, topic: &str, diff: &PresenceDiff, presences: &TopicList) {
        let mut observer = self.0.lock().await;
        let observing = async { observer.observe(topic, diff, presences).await };
        if AssertUnwindSafe(observing).catch_unwind().await.is_err() {
            tracing::error!(%topic, "the observer of presences panicked");
        }
    }
}
