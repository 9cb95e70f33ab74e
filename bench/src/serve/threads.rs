//! The threads of a server whose framework leaves them to the application.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

use super::{BACKLOG, ServeError, Setup, Threads};

/// Runs `serve` on every thread with a listener of its own, or once on all threads together.
pub(super) fn run<F>(
    setup: &Setup,
    ready: impl FnOnce(SocketAddr),
    mut serve: impl FnMut(TcpListener) -> F,
) -> Result<(), ServeError>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, setup.port));
    let workers = setup.workers.get();
    let runtimes = match setup.threads {
        Threads::Shared => vec![Builder::new_multi_thread().worker_threads(workers).enable_all().build()?],
        Threads::PerCore => (0..workers)
            .map(|_| Builder::new_current_thread().enable_all().build())
            .collect::<io::Result<Vec<_>>>()?,
    };
    let mut servers = Vec::new();
    for runtime in runtimes {
        let entered = runtime.enter();
        let listener = listen(address)?;
        drop(entered);
        // All listen on the port that the first one got.
        address = listener.local_addr()?;
        servers.push((runtime, serve(listener)));
    }
    ready(address);
    let threads: Vec<_> =
        servers.into_iter().map(|(runtime, server)| thread::spawn(move || drive(&runtime, server))).collect();
    for thread in threads {
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))?;
    }
    Ok(())
}

/// The main task of a runtime is polled apart from its queue: accepting belongs into the queue.
fn drive(runtime: &Runtime, server: impl Future<Output = io::Result<()>> + Send + 'static) -> io::Result<()> {
    runtime.block_on(async {
        tokio::spawn(server).await.unwrap_or_else(|failure| Err(io::Error::other(failure)))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
