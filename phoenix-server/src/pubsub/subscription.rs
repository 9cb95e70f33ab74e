use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use phoenix_proto::Broadcast;
use thiserror::Error;
use tokio::sync::mpsc;

use super::{SubscriberId, TopicGuard};

/// The broadcasts of one topic as a stream; dropping it ends the subscription (FEATURES K7–K10).
///
/// It holds a bounded number of broadcasts. When its reader falls behind, the newest are dropped and
/// counted, and the next item says how many.
#[derive(Debug)]
pub struct Subscription {
    receiver: mpsc::Receiver<Arc<Broadcast>>,
    lost: Arc<AtomicU64>,
    subscriber: SubscriberId,
    /// Its end of the queue keeps the stream from ending.
    _guard: TopicGuard,
}

/// A gap in a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The reader was too slow and so many broadcasts were dropped.
    #[error("{0} broadcasts were lost because their reader was too slow")]
    Lagged(u64),
}

/// The sending end, in the table of subscribers.
pub(crate) struct Sender {
    sender: mpsc::Sender<Arc<Broadcast>>,
    lost: Arc<AtomicU64>,
}

pub(super) fn queue(
    capacity: usize,
    subscribe: impl FnOnce(SubscriberId, Sender) -> TopicGuard,
) -> Subscription {
    let (sender, receiver) = mpsc::channel(capacity);
    let lost = Arc::new(AtomicU64::new(0));
    let subscriber = SubscriberId::next();
    let guard = subscribe(subscriber, Sender { sender, lost: Arc::clone(&lost) });
    Subscription { receiver, lost, subscriber, _guard: guard }
}

impl Sender {
    pub(super) fn send(&self, broadcast: &Arc<Broadcast>) -> bool {
        let sent = self.sender.try_send(Arc::clone(broadcast)).is_ok();
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Subscription {
    /// The next broadcast. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// [`SubscriptionError::Lagged`] in place of broadcasts that were dropped.
    pub async fn recv(&mut self) -> Result<Arc<Broadcast>, SubscriptionError> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    pub(super) fn subscriber(&self) -> SubscriberId {
        self.subscriber
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Broadcast>, SubscriptionError>> {
        // What was queued is older than what was lost.
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some(broadcast)) => Poll::Ready(Ok(broadcast)),
            Poll::Ready(None) | Poll::Pending => match self.lost.swap(0, Ordering::Relaxed) {
                0 => Poll::Pending,
                lost => Poll::Ready(Err(SubscriptionError::Lagged(lost))),
            },
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Arc<Broadcast>, SubscriptionError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Some)
    }
}
