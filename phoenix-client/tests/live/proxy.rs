//! A link that can break, in every way a link breaks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Stands between the client and a server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    link: Arc<watch::Sender<Link>>,
    task: JoinHandle<()>,
}

/// The state of the link. Connections are numbered by when they were made.
#[derive(Clone, Copy)]
struct Link {
    /// Where to; without a server connections are dropped at once.
    server: Option<SocketAddr>,
    /// The number of the next connection.
    next: u64,
    /// Connections below this number are cut.
    cut: u64,
    /// Connections below this number swallow everything, and never end by themselves.
    swallow: u64,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let link = Arc::new(watch::Sender::new(Link { server: Some(server), next: 0, cut: 0, swallow: 0 }));
        let accepting = Arc::clone(&link);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("listening");
                let mut number = 0;
                accepting.send_modify(|link| {
                    number = link.next;
                    link.next += 1;
                });
                tokio::spawn(carry(client, number, accepting.subscribe()));
            }
        });
        Self { address, link, task }
    }

    /// Leads to this server from now on, or to none.
    pub(crate) fn lead_to(&self, server: Option<SocketAddr>) {
        self.link.send_modify(|link| link.server = server);
    }

    /// Cuts all connections there are.
    pub(crate) fn cut(&self) {
        self.link.send_modify(|link| link.cut = link.next);
    }

    /// Lets the next connection swallow everything.
    pub(crate) fn swallow_next(&self) {
        self.link.send_modify(|link| link.swallow = link.next + 1);
    }

    /// Lets all connections there are swallow everything.
    pub(crate) fn swallow(&self) {
        self.link.send_modify(|link| link.swallow = link.next);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries bytes both ways until an end or a cut.
async fn carry(mut client: TcpStream, number: u64, mut link: watch::Receiver<Link>) {
    let Some(server) = link.borrow().server else { return };
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let watched = link.clone();
    let swallows = || watched.borrow().swallow > number;
    let cut = async { drop(link.wait_for(|link| link.cut > number).await) };
    tokio::select! {
        () = cut => {}
        () = copy(&mut from_client, &mut to_server, swallows) => {}
        () = async {
            copy(&mut from_server, &mut to_client, swallows).await;
            if swallows() {
                // The client must not see that the server is gone.
                std::future::pending::<()>().await;
            }
        } => {}
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    swallows: impl Fn() -> bool,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) if swallows() => {}
            Ok(count) => {
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
