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
mod presence;
mod sockets;
mod term;

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// Serves until the process is told to stop and the connections are closed.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Box<dyn Error>> {
    let endpoint = endpoint::endpoint()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))?;
    listener.set_nonblocking(true)?;
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

/// Tells everybody who waits for it that the server is ready, and returns what tells that it has to stop.
fn announce(listener: &TcpListener) -> std::io::Result<Signal> {
    let stopped = signal(SignalKind::terminate())?;
    println!("listening on {}", listener.local_addr()?);
    Ok(stopped)
}
