use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;
use phoenix_server::{Backoff, Engine, Port, keep_connected};
use thiserror::Error;

use crate::connection::NatsConnector;
use crate::subject::Subjects;

/// Moves broadcasts between nodes by way of NATS servers (FEATURES K20–K23, protocol §16).
///
/// It connects when the PubSub is built and for as long as that exists; while no server can be reached, publishers are
/// refused. Each topic with subscribers on this node is a subscription there, so that a node is sent no others.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use phoenix_pubsub_nats::NatsEngine;
/// use phoenix_server::{Endpoint, PubSub};
///
/// let engine = NatsEngine::new("nats://10.0.0.1:4222,nats://10.0.0.2:4222")?
///     .user_and_password("chat", "secret")
///     .prefix("chat")?;
/// let pubsub = PubSub::builder().node("web-1").engine(engine);
/// let endpoint = Endpoint::builder().pubsub(pubsub);
/// # Ok(())
/// # }
/// ```
#[must_use = "an engine does nothing until a PubSub runs it"]
pub struct NatsEngine {
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    subjects: Subjects,
    backoff: Backoff,
}

/// An engine that cannot be as it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NatsError {
    /// The URL of a server cannot be read.
    #[error("the URL of a NATS server is invalid: {0}")]
    Url(#[source] io::Error),
    /// The prefix is empty, longer than 512 bytes, or has empty or unprintable parts, `*` or `>`.
    #[error("{0:?} cannot be the beginning of a NATS subject")]
    Prefix(String),
    /// Credentials are malformed.
    #[cfg(feature = "nkeys")]
    #[error("malformed NATS credentials: {0}")]
    Credentials(#[source] io::Error),
}

impl NatsEngine {
    /// An engine for servers of one NATS cluster: URLs separated by commas, `nats://HOST:PORT`, or `tls://HOST:PORT` with
    /// the feature `tls`. It connects to any of them; servers that are not listed are not used.
    ///
    /// A user and a password in the first URL are those for all.
    ///
    /// # Errors
    /// [`NatsError::Url`].
    pub fn new(urls: &str) -> Result<Self, NatsError> {
        let servers = urls.split(',').map(server).collect::<Result<Vec<_>, _>>().map_err(NatsError::Url)?;
        let mut options = ConnectOptions::new()
            .no_echo()
            .ignore_discovered_servers()
            .skip_subject_validation(true)
            // One round over all servers; what comes after that is the business of `keep_connected`.
            .max_reconnects(servers.len())
            .reconnect_delay_callback(|_| Duration::ZERO)
            .subscription_capacity(8192)
            .request_timeout(Some(Duration::from_secs(5)))
            .ping_interval(Duration::from_secs(5));
        if let Some((user, password)) = servers.first().and_then(|url| url.username().zip(url.password())) {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            options = options.user_and_password(decoded(user), decoded(password));
        }
        Ok(Self { servers, options, subjects: Subjects::default(), backoff: Backoff::default() })
    }

    /// Sets what the subjects of this cluster begin with, `phx` by default. Clusters that share servers need different
    /// ones, of which none is another one's beginning up to a dot.
    ///
    /// A user of the servers needs the permission to publish and to subscribe to `PREFIX.>`, and no other.
    ///
    /// # Errors
    /// [`NatsError::Prefix`].
    pub fn prefix(mut self, prefix: &str) -> Result<Self, NatsError> {
        self.subjects = Subjects::new(prefix).ok_or_else(|| NatsError::Prefix(prefix.to_owned()))?;
        Ok(self)
    }

    /// Logs in as a user.
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.options = self.options.user_and_password(user.into(), password.into());
        self
    }

    /// Logs in with a token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.options = self.options.token(token.into());
        self
    }

    /// Logs in with a key, given by its seed.
    #[cfg(feature = "nkeys")]
    pub fn nkey(mut self, seed: impl Into<String>) -> Self {
        self.options = self.options.nkey(seed.into());
        self
    }

    /// Logs in with credentials, given as the content of a `.creds` file.
    ///
    /// # Errors
    /// [`NatsError::Credentials`].
    #[cfg(feature = "nkeys")]
    pub fn credentials(mut self, content: &str) -> Result<Self, NatsError> {
        self.options = self.options.credentials(content).map_err(NatsError::Credentials)?;
        Ok(self)
    }

    /// Trusts the certificates in a PEM file, instead of those of the operating system.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, file: impl Into<std::path::PathBuf>) -> Self {
        self.options = self.options.add_root_certificates(file.into());
        self
    }

    /// Shows the servers a certificate, given with its key as PEM files.
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<std::path::PathBuf>,
        key: impl Into<std::path::PathBuf>,
    ) -> Self {
        self.options = self.options.add_client_certificate(certificate.into(), key.into());
        self
    }

    /// Sets how long connecting to a server may take, five seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.connection_timeout(timeout);
        self
    }

    /// Sets how often a quiet connection is tried, every five seconds by default. When two tries in a row find no answer,
    /// it is lost.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.options = self.options.ping_interval(interval);
        self
    }

    /// Sets how long the server may take to answer before the connection is given up, five seconds by
    /// default.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.request_timeout(Some(timeout));
        self
    }

    /// Sets how many broadcasts of one topic may wait for this node to deliver them, 8192 by default. What exceeds it is
    /// dropped, which counts as a gap.
    ///
    /// # Panics
    /// If it is 0.
    pub fn topic_capacity(mut self, broadcasts: usize) -> Self {
        assert!(broadcasts > 0, "broadcasts have to wait somewhere");
        self.options = self.options.subscription_capacity(broadcasts);
        self
    }

    /// Sets how long to wait before connecting again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

fn server(url: &str) -> io::Result<ServerAddr> {
    let server: ServerAddr = url.trim().parse()?;
    if server.host().is_empty() || server.is_websocket() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a host that speaks NATS over TCP"));
    }
    Ok(server)
}

impl Engine for NatsEngine {
    fn run(self: Box<Self>, port: Port) -> BoxFuture<'static, ()> {
        let Self { servers, options, subjects, backoff } = *self;
        // One permission for everything.
        let options = options.custom_inbox_prefix(subjects.inbox());
        let publisher = RandomState::new().hash_one(port.node.as_str());
        keep_connected(NatsConnector { servers, options, subjects, publisher, published: 0 }, backoff, port)
            .boxed()
    }
}

impl fmt::Debug for NatsEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsEngine").field("subjects", &self.subjects).finish_non_exhaustive()
    }
}
