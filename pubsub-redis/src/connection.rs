use std::convert::Infallible;
use std::time::Duration;

use phoenix_server::{Connector, Inbound, InterestChanges, Interests, Link, NodeName, Outbox, Port, Route};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::channel::Channels;
use crate::server::Server;

/// Makes one connection after the other.
pub(crate) struct RedisConnector {
    pub(crate) server: Server,
    pub(crate) channels: Channels,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) ping_interval: Duration,
}

pub(crate) struct Connection {
    redis: MultiplexedConnection,
    lost: mpsc::Receiver<()>,
}

/// How many publications are on their way at once.
const BATCH: usize = 256;

impl Connector for RedisConnector {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&mut self, node: &NodeName, inbound: &Inbound, _: &Link) -> RedisResult<Connection> {
        let (sender, lost) = mpsc::channel(1);
        let inbound = inbound.clone();
        // Called for one push after the other as they are read: nothing has to be queued.
        let on_push = move |push| {
            handle_push(push, &inbound, &sender);
            Ok::<_, Infallible>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
            .set_push_sender(on_push);
        let mut redis = self.server.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        redis.subscribe(self.channels.of(&Route::Node(node.clone()))).await?;
        Ok(Connection { redis, lost })
    }

    async fn run(&mut self, mut connection: Connection, port: &mut Port) -> RedisResult<()> {
        let Port { outbox, interests, .. } = port;
        let redis = || connection.redis.clone();
        let mut unsent = 0;
        let ended = tokio::select! {
            ended = publish(redis(), &self.channels, outbox, &mut unsent) => ended,
            Err(error) = subscribe(redis(), &self.channels, interests) => Err(error),
            Err(error) = ping(redis(), self.ping_interval) => Err(error),
            _ = connection.lost.recv() => Err((ErrorKind::Io, "the connection was closed").into()),
        };
        outbox.unsent(unsent);
        ended
    }
}

/// Ends when the PubSub does.
async fn publish(
    mut redis: MultiplexedConnection,
    channels: &Channels,
    outbox: &mut Outbox,
    unsent: &mut usize,
) -> RedisResult<()> {
    while let Some(batch) = outbox.recv(BATCH).await {
        *unsent = batch.len();
        let mut pipeline = redis::pipe();
        for publication in &batch {
            let message: &[u8] = &publication.message;
            pipeline.cmd("PUBLISH").arg(channels.of(&publication.to)).arg(message).ignore();
        }
        pipeline.query_async::<()>(&mut redis).await?;
        *unsent = 0;
    }
    Ok(())
}

/// Subscribes to what this node is interested in. Never ends well.
async fn subscribe(
    mut redis: MultiplexedConnection,
    channels: &Channels,
    interests: &mut Interests,
) -> RedisResult<()> {
    loop {
        let changes = interests.recv().await;
        let InterestChanges { subscribe, unsubscribe, .. } = &changes;
        if !subscribe.is_empty() {
            redis.subscribe(channels.of_topics(subscribe)).await?;
        }
        if !unsubscribe.is_empty() {
            redis.unsubscribe(channels.of_topics(unsubscribe)).await?;
        }
        interests.settled(&changes);
    }
}

/// Finds out that the server is gone without a word, which reading alone would not.
async fn ping(mut redis: MultiplexedConnection, interval: Duration) -> RedisResult<()> {
    loop {
        sleep(interval).await;
        redis::cmd("PING").query_async::<()>(&mut redis).await?;
    }
}

fn handle_push(push: PushInfo, inbound: &Inbound, lost: &mpsc::Sender<()>) {
    match (push.kind, push.data.into_iter().nth(1)) {
        (PushKind::Message, Some(Value::BulkString(message))) => inbound.deliver(&message.into()),
        (PushKind::Disconnection, _) => {
            // One is enough.
            let _ = lost.try_send(());
        }
        _ => {}
    }
}
