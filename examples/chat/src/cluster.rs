//! The options for running on several machines.

use std::error::Error;
use std::time::Duration;

use phoenix_pubsub_nats::NatsEngine;
use phoenix_pubsub_redis::RedisEngine;
use phoenix_server::{PubSub, SecretKeyBase, TrackerConfig};

/// How this node reaches others; without a server it is alone.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The name of this node, which no other node has; random by default if there are others.
    #[arg(long)]
    node: Option<String>,
    /// The Redis server by which it reaches other nodes, such as redis://127.0.0.1:6379.
    #[arg(long, value_name = "URL", conflicts_with = "nats")]
    redis: Option<String>,
    /// The NATS server by which it reaches other nodes, such as nats://127.0.0.1:4222.
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// How often changes of who is there are told to the other nodes, in milliseconds. A node that is not heard of for
    /// twenty times as long is taken for dead, and who was on it for gone.
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    tick: u64,
}

impl Options {
    pub(crate) fn tracker(&self) -> TrackerConfig {
        let mut config = TrackerConfig::default();
        config.broadcast_period = Duration::from_millis(self.tick);
        config
    }

    /// What all nodes have to share to serve each other's long-poll sessions: the variable `CHAT_SECRET`, random if it is
    /// not set.
    pub(crate) fn secret() -> Result<SecretKeyBase, Box<dyn Error>> {
        Ok(match std::env::var("CHAT_SECRET") {
            Ok(secret) => SecretKeyBase::new(secret)?,
            Err(_) => SecretKeyBase::random(),
        })
    }

    /// Has to be called inside of a tokio runtime.
    pub(crate) fn pubsub(&self) -> Result<PubSub, Box<dyn Error>> {
        let mut builder = PubSub::builder();
        if let Some(node) = &self.node {
            builder = builder.node(node.as_str());
        }
        Ok(match (&self.redis, &self.nats) {
            (Some(url), _) => builder.engine(RedisEngine::new(url)?),
            (None, Some(url)) => builder.engine(NatsEngine::new(url)?),
            (None, None) if self.node.is_none() => builder.node("chat").local(),
            (None, None) => builder.local(),
        })
    }
}
