//! The server under test: the bench channel on the public API, mounted by each adapter.

mod actix;
mod alone;
mod axum;
mod channel;
mod threads;
mod warp;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::ValueEnum;
use phoenix_server::EndpointError;

pub(crate) use channel::endpoint;

/// The web framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Adapter {
    /// warp 0.4.
    Warp,
    /// actix-web 4.
    Actix,
    /// axum 0.8.
    Axum,
}

/// How the threads of a server on warp or axum share the connections; actix-web has its own way, which is
/// [`PerCore`](Self::PerCore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Threads {
    /// Each thread has a current-thread runtime and a listener of its own, on one port by `SO_REUSEPORT`.
    PerCore,
    /// One multi-thread runtime of tokio, as `#[tokio::main]` makes it.
    Shared,
}

/// What is served, and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The framework.
    pub adapter: Adapter,
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Threads.
    pub workers: NonZeroUsize,
    /// How they share the connections.
    pub threads: Threads,
    /// Whether the framework serves the long polling of the limit server instead, and no WebSocket; one thread only.
    pub alone: bool,
}

/// Why a server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The endpoint is misconfigured.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A socket, a thread or a runtime could not be had.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Serves on 127.0.0.1 until accepting fails; `ready` gets the address once it is listened on.
///
/// # Errors
///
/// [`ServeError`].
pub fn run(setup: &Setup, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    if setup.alone {
        return match setup.adapter {
            Adapter::Warp => threads::run(setup, ready, alone::warp),
            Adapter::Axum => threads::run(setup, ready, alone::axum),
            Adapter::Actix => alone::actix(setup, ready),
        };
    }
    let endpoint = endpoint()?;
    match setup.adapter {
        Adapter::Warp => threads::run(setup, ready, |listener| warp::serve(listener, endpoint.clone())),
        Adapter::Axum => threads::run(setup, ready, |listener| axum::serve(listener, endpoint.clone())),
        Adapter::Actix => actix::serve(setup, ready, &endpoint),
    }
}
