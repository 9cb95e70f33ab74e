use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use phoenix_server::{Backoff, Engine, Port, keep_connected};
use redis::{IntoConnectionInfo, RedisError};
use thiserror::Error;

use crate::channel::Channels;
use crate::connection::RedisConnector;
use crate::server::Server;

/// Moves broadcasts between nodes by way of a Redis server (FEATURES K25, protocol appendix C).
///
/// It connects when the PubSub is built and for as long as that exists; while the server cannot be reached, publishers
/// are refused. Each topic with subscribers on this node is a subscription there, so that a node is sent no others.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use phoenix_pubsub_redis::RedisEngine;
/// use phoenix_server::{Endpoint, PubSub};
///
/// let engine = RedisEngine::new("redis://10.0.0.1:6379")?.credentials("chat", "secret").prefix("chat");
/// let pubsub = PubSub::builder().node("web-1").engine(engine);
/// let endpoint = Endpoint::builder().pubsub(pubsub);
/// # Ok(())
/// # }
/// ```
#[must_use = "an engine does nothing until a PubSub runs it"]
pub struct RedisEngine {
    server: Server,
    prefix: String,
    connect_timeout: Duration,
    response_timeout: Duration,
    ping_interval: Duration,
    backoff: Backoff,
}

/// An engine that cannot be as it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL does not name a Redis server.
    #[error("the URL of the Redis server is invalid: {0}")]
    Url(#[source] RedisError),
    /// Certificates or keys are malformed.
    #[cfg(feature = "tls")]
    #[error("malformed certificate or key: {0}")]
    Certificate(#[source] RedisError),
}

impl RedisEngine {
    /// An engine for a server: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, where all but the host may be left out;
    /// `rediss://…` for TLS, with the feature `tls`; `unix:///PATH` for a socket of the file system.
    ///
    /// Redis keeps channels apart by their names only: databases do not separate clusters, a
    /// [prefix](Self::prefix) does.
    ///
    /// # Errors
    /// [`ConfigError::Url`], also for `rediss://` without the feature.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            server: Server::new(url.into_connection_info().map_err(ConfigError::Url)?),
            prefix: "phx".to_owned(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            backoff: Backoff::default(),
        })
    }

    /// Logs in as a user, instead of the one in the URL.
    ///
    /// The user needs the commands `HELLO`, `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE` and `PING`, and the channels
    /// `PREFIX:*`: `ACL SETUSER chat on >secret resetchannels &phx:* -@all +hello +publish +subscribe +unsubscribe +ping`.
    pub fn credentials(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.server.change(|settings| settings.set_username(user).set_password(password));
        self
    }

    /// Sets what the channels of this cluster begin with, `phx` by default. Clusters that share a server need different
    /// ones, of which none is another one's beginning up to a colon.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Trusts a certificate, given as PEM, instead of those of the operating system.
    ///
    /// # Errors
    /// [`ConfigError::Certificate`].
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        self.server.certificates.root_cert = Some(pem.into());
        self.server.client().map_err(ConfigError::Certificate)?;
        Ok(self)
    }

    /// Shows the server a certificate, given with its key as PEM.
    ///
    /// # Errors
    /// [`ConfigError::Certificate`].
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, ConfigError> {
        self.server.certificates.client_tls =
            Some(redis::ClientTlsConfig { client_cert: certificate.into(), client_key: key.into() });
        self.server.client().map_err(ConfigError::Certificate)?;
        Ok(self)
    }

    /// Sets how long connecting may take, five seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the server may take to answer before the connection is given up, five seconds by default.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Sets how often the connection is tried, every five seconds by default: how soon it is noticed that the server is
    /// gone without a word, the time for an answer not included.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets how long to wait before connecting again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

impl Engine for RedisEngine {
    fn run(self: Box<Self>, port: Port) -> BoxFuture<'static, ()> {
        let Self { server, prefix, connect_timeout, response_timeout, ping_interval, backoff } = *self;
        let channels = Channels::new(prefix);
        let connector = RedisConnector { server, channels, connect_timeout, response_timeout, ping_interval };
        keep_connected(connector, backoff, port).boxed()
    }
}

impl fmt::Debug for RedisEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisEngine").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
