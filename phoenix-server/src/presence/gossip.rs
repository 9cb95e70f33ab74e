use std::sync::Arc;

use phoenix_proto::presence::Tracker;
use tokio::time::sleep_until;

use super::shard::Shard;
use crate::pubsub::{Subscription, SubscriptionError};

/// How many messages of other nodes may wait for a shard; what is lost beyond that is asked for again.
pub(super) const INBOX: usize = 1024;

/// Exchanges news with the other nodes until the shard stops.
///
/// Wait direction: it waits for messages and for time; nobody waits for it.
pub(super) async fn run(shard: Arc<Shard>, mut messages: Subscription) {
    while let Some((tick, _)) = shard.read(Tracker::poll_timeout) {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(broadcast) => shard.receive(&broadcast),
                Err(SubscriptionError::Lagged(lost)) => shard.counters.lost.add(lost),
            },
            () = sleep_until(tick.into()) => shard.change(Tracker::handle_timeout),
        }
    }
}
