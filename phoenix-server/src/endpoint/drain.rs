use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use phoenix_proto::server::CloseReason;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::level_filters::LevelFilter;

use crate::registry::{self, Registry};
use crate::telemetry::{Diagnostics, SocketDrain};

/// How the connections of a mount are closed when the server shuts down (FEATURES I1–I4).
///
/// Phoenix counts channels; here it is connections, and those without channels are drained too.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DrainOptions {
    /// How many connections are closed at once; 10,000 by default.
    pub batch_size: usize,
    /// How long to wait before the next batch, so that not all clients reconnect at once; 2 s by default.
    pub batch_interval: Duration,
    /// How long all of it may take; 30 s by default.
    pub shutdown: Duration,
    /// The level at which each batch is logged (FEATURES I4); `INFO` by default, `OFF` for not at all.
    pub log: LevelFilter,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            batch_size: 10_000,
            batch_interval: Duration::from_secs(2),
            shutdown: Duration::from_secs(30),
            log: LevelFilter::INFO,
        }
    }
}

impl DrainOptions {
    /// The defaults of Phoenix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many connections are closed at once; at least one is.
    pub fn batch_size(mut self, connections: usize) -> Self {
        self.batch_size = connections;
        self
    }

    /// Sets how long to wait before the next batch.
    pub fn batch_interval(mut self, interval: Duration) -> Self {
        self.batch_interval = interval;
        self
    }

    /// Sets the level at which each batch is logged.
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log = level;
        self
    }

    /// Sets how long all of it may take.
    pub fn shutdown(mut self, limit: Duration) -> Self {
        self.shutdown = limit;
        self
    }
}

/// Where the options of a drain come from (FEATURES D4, I5, I6).
#[derive(Clone)]
#[non_exhaustive]
pub enum Drainer {
    /// The connections are left alone; new ones are refused all the same.
    Off,
    /// They are known.
    Fixed(DrainOptions),
    /// They are asked for when the server shuts down.
    Dynamic(Arc<dyn Fn() -> DrainOptions + Send + Sync>),
}

impl Default for Drainer {
    fn default() -> Self {
        Self::Fixed(DrainOptions::default())
    }
}

impl fmt::Debug for Drainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::Fixed(options) => f.debug_tuple("Fixed").field(options).finish(),
            Self::Dynamic(_) => f.write_str("Dynamic"),
        }
    }
}

/// What a shutdown came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were closed.
    pub closed: usize,
    /// Connections that were still there when the time was over.
    pub remaining: usize,
}

/// Closes all connections of a mount in batches and waits until they are gone.
pub(super) async fn drain(
    registry: &Registry,
    drainer: &Drainer,
    socket: &'static str,
    diagnostics: &Diagnostics,
) -> Drained {
    let connections = registry.start_draining();
    let options = match drainer {
        Drainer::Off => return Drained { closed: 0, remaining: connections.len() },
        Drainer::Fixed(options) => options.clone(),
        Drainer::Dynamic(options) => options(),
    };
    let deadline = Instant::now() + options.shutdown;
    let closing = async {
        let batches = connections.chunks(options.batch_size.max(1));
        let rounds = batches.len();
        for (round, batch) in batches.enumerate() {
            if round > 0 {
                sleep(options.batch_interval).await;
            }
            let event = SocketDrain {
                socket,
                count: batch.len(),
                total: connections.len(),
                round: round + 1,
                rounds,
                interval: options.batch_interval,
            };
            diagnostics.socket_drain(options.log, &event);
            for inbox in batch {
                registry::close(inbox, CloseReason::Draining);
            }
        }
        registry.emptied().await;
    };
    // What is left when the time is over is counted.
    let _ = timeout_at(deadline, closing).await;
    let remaining = registry.len();
    Drained { closed: connections.len().saturating_sub(remaining), remaining }
}
