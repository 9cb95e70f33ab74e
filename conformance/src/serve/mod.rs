//! The reference application: the sockets, channels and control routes against which the recordings were made.
//!
//! It is written once and mounted by three adapters. Its state belongs to the process, like that of the original.

mod adapters;
mod app;
mod channels;
mod connect_info;
mod ctl;
mod endpoint;
mod inspect;
mod sockets;

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, ValueEnum};
use phoenix_server::Endpoint;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// Serve the reference application until SIGTERM, which drains it.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The web framework.
    #[arg(long, value_enum)]
    adapter: Adapter,
    /// The port on 127.0.0.1; 0 for a free one.
    #[arg(long, default_value_t = 4000)]
    port: u16,
    /// Threads; by default one for each processor.
    #[arg(long)]
    workers: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    Warp,
    Actix,
    Axum,
}

/// How long connections may take to close when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Serves until the process is told to stop and the connections are closed.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Box<dyn Error>> {
    let endpoint = endpoint::endpoint()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let workers = match args.workers {
        Some(workers) => workers,
        None => std::thread::available_parallelism()?,
    };
    match args.adapter {
        Adapter::Warp => runtime(workers)?.block_on(adapters::warp::serve(listener, endpoint)),
        Adapter::Axum => runtime(workers)?.block_on(adapters::axum::serve(listener, endpoint)),
        Adapter::Actix => adapters::actix::serve(listener, endpoint, workers),
    }
}

fn runtime(workers: NonZeroUsize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match workers.get() {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(workers.get()).enable_all().build()
}

/// Returns when the process is told to stop.
async fn stopped() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(error) => {
            anstream::eprintln!("cannot be stopped by a signal: {error}");
            std::future::pending().await
        }
    }
}

/// Closes all connections and waits until they are gone.
async fn drain(endpoint: &Endpoint) {
    const TICK: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    while endpoint.connections() > 0 && Instant::now() < deadline {
        // Again and again: an upgrade that was under way registers late.
        endpoint.drain();
        sleep(TICK).await;
    }
}
