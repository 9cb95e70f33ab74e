use std::fmt;
use std::future::Future;
use std::pin::pin;

use tokio::time::{Instant, sleep};

use super::{Backoff, Inbound, Link, Outbox, Port};
use crate::pubsub::NodeName;

/// What differs between engines that hold one connection to a server after the other; [`keep_connected`] is what they
/// have in common.
pub trait Connector: Send + 'static {
    /// A connection.
    type Connection: Send;
    /// Why there is none, or none any more.
    type Error: fmt::Display + Send;

    /// Connects, and subscribes to what is published to this node. What is received from here on goes to `inbound`.
    fn connect(
        &mut self,
        node: &NodeName,
        inbound: &Inbound,
        link: &Link,
    ) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Publishes and subscribes what the port asks for until the connection is lost. `Ok` is the end of the PubSub.
    fn run(
        &mut self,
        connection: Self::Connection,
        port: &mut Port,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Connects, and connects again when the connection is lost, until the PubSub is dropped.
///
/// What waits to be published when a connection is lost is thrown away and counted, rather than sent late. Each new
/// connection is given all topics again.
///
/// An engine returns this future from [`run`](super::Engine::run); it must not make it in an async block of its own, as
/// [`PubSub::settled`](crate::PubSub::settled) would not wait for the first connection then.
pub fn keep_connected(
    connector: impl Connector,
    backoff: Backoff,
    port: Port,
) -> impl Future<Output = ()> + Send + 'static {
    port.interests.restart();
    connect_repeatedly(connector, backoff, port)
}

async fn connect_repeatedly(mut connector: impl Connector, mut backoff: Backoff, mut port: Port) {
    loop {
        let connecting = connector.connect(&port.node, &port.inbound, &port.link);
        match discarding(&mut port.outbox, connecting).await {
            None => return,
            Some(Err(error)) => {
                tracing::warn!(%error, node = %port.node, "cannot connect to the other nodes");
            }
            Some(Ok(connection)) => {
                tracing::info!(node = %port.node, "connected to the other nodes");
                let since = Instant::now();
                port.link.up();
                let ended = connector.run(connection, &mut port).await;
                port.link.down();
                let Err(error) = ended else { return };
                tracing::warn!(%error, node = %port.node, "lost the connection to the other nodes");
                backoff.held(since.elapsed());
                port.interests.restart();
            }
        }
        if discarding(&mut port.outbox, sleep(backoff.next())).await.is_none() {
            return;
        }
    }
}

/// Does something while there is no connection; `None` if the PubSub ends before it is done.
async fn discarding<T>(outbox: &mut Outbox, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return Some(done),
            late = outbox.recv(64) => outbox.unsent(late?.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::BoxFuture;
    use futures_util::{FutureExt, StreamExt};
    use phoenix_proto::Payload;
    use tokio::sync::mpsc;

    use super::*;
    use crate::pubsub::{BroadcastError, Engine, PubSub, PublishError};

    /// Does what the test says, and says when it does it.
    struct Scripted {
        outcomes: mpsc::UnboundedReceiver<Result<(), &'static str>>,
        attempts: mpsc::UnboundedSender<Instant>,
    }

    impl Engine for Scripted {
        fn run(self: Box<Self>, port: Port) -> BoxFuture<'static, ()> {
            keep_connected(*self, Backoff::new(Duration::from_secs(1), Duration::from_secs(8)), port).boxed()
        }
    }

    impl Connector for Scripted {
        type Connection = ();
        type Error = &'static str;

        async fn connect(&mut self, _: &NodeName, _: &Inbound, _: &Link) -> Result<(), &'static str> {
            let _ = self.attempts.send(Instant::now());
            self.outcomes.recv().await.unwrap_or(Err("the script is over"))
        }

        async fn run(&mut self, (): (), port: &mut Port) -> Result<(), &'static str> {
            loop {
                tokio::select! {
                    changes = port.interests.recv() => port.interests.settled(&changes),
                    outcome = self.outcomes.recv() => return outcome.unwrap_or(Err("the script is over")),
                }
            }
        }
    }

    type Script = (PubSub, mpsc::UnboundedSender<Result<(), &'static str>>, mpsc::UnboundedReceiver<Instant>);

    fn scripted() -> Script {
        let (script, outcomes) = mpsc::unbounded_channel();
        let (attempts, attempted) = mpsc::unbounded_channel();
        (PubSub::with_engine(Scripted { outcomes, attempts }), script, attempted)
    }

    #[tokio::test(start_paused = true)]
    async fn it_tries_again_after_longer_and_longer_waits() {
        let (_pubsub, script, attempted) = scripted();
        for _ in 0..6 {
            script.send(Err("refused")).unwrap();
        }
        let times: Vec<_> = tokio_stream_of(attempted).take(7).collect().await;
        for (pair, whole) in times.windows(2).zip([1, 2, 4, 8, 8, 8]) {
            let wait = pair[1] - pair[0];
            // The timer of tokio has a granularity of a millisecond.
            let most = Duration::from_millis(whole * 1000 + 1);
            assert!(wait >= Duration::from_millis(whole * 500) && wait <= most, "{wait:?} of {whole} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn settled_waits_for_the_connection_and_after_a_loss_for_the_next() {
        let (pubsub, script, _attempted) = scripted();
        assert!(pubsub.settled().now_or_never().is_none());
        let refused = BroadcastError::Publish(PublishError::Disconnected);
        assert_eq!(pubsub.broadcast("t", "e", Payload::EMPTY), Err(refused));
        script.send(Ok(())).unwrap();
        pubsub.settled().await;
        // Nobody takes it before the connection is lost.
        pubsub.broadcast("t", "late", Payload::EMPTY).unwrap();
        script.send(Err("reset")).unwrap();
        while pubsub.stats().connected {
            tokio::task::yield_now().await;
        }
        assert!(pubsub.settled().now_or_never().is_none());
        script.send(Ok(())).unwrap();
        pubsub.settled().await;
        let stats = pubsub.stats();
        assert!(stats.connected);
        assert_eq!((stats.gaps, stats.published, stats.refused, stats.unsent), (1, 1, 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_pubsub_also_while_it_waits() {
        let (pubsub, script, attempted) = scripted();
        script.send(Err("refused")).unwrap();
        drop((pubsub, script));
        // Ends because the engine, which holds the sender, does.
        tokio_stream_of(attempted).for_each(|_| async {}).await;
    }

    fn tokio_stream_of<T>(
        mut receiver: mpsc::UnboundedReceiver<T>,
    ) -> impl futures_util::Stream<Item = T> + Unpin {
        futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx))
    }
}
