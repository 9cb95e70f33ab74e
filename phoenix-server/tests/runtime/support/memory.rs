use std::io;
use std::task::{Context, Poll, ready};

use phoenix_server::{CloseCode, Disconnect, Endpoint, Frame, HttpRequest, Incoming, Outgoing, Transport};
use tokio::sync::mpsc;

use super::{Client, Probe};

/// A transport over two queues: what the client sends, and what it gets.
pub(crate) struct Memory {
    incoming: mpsc::UnboundedReceiver<Incoming>,
    /// Bounded, so that a client that does not read can be had.
    outgoing: tokio_util::sync::PollSender<MemoryEnd>,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) enum MemoryEnd {
    Frame(Frame),
    Closed(Option<CloseCode>),
}

impl Transport for Memory {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>> {
        let Some(first) = ready!(self.incoming.poll_recv(cx)) else {
            return Poll::Ready(Err(Disconnect::GONE));
        };
        incoming.push(first);
        // What was sent together arrives together.
        while let Ok(next) = self.incoming.try_recv() {
            incoming.push(next);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        while !outgoing.is_empty() {
            let reserved = ready!(self.outgoing.poll_reserve(cx));
            reserved.map_err(|_| io::ErrorKind::BrokenPipe)?;
            let frame = outgoing.pop().expect("one is there");
            self.outgoing.send_item(MemoryEnd::Frame(frame)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, code: Option<CloseCode>) -> Poll<()> {
        if ready!(self.outgoing.poll_reserve(cx)).is_ok() {
            let _ = self.outgoing.send_item(MemoryEnd::Closed(code));
        }
        Poll::Ready(())
    }
}

/// A client in memory that reads at once.
pub(crate) async fn memory(endpoint: &Endpoint, probe: &Probe, query: &str) -> Client {
    memory_with_room(endpoint, probe, query, 100_000).await
}

/// A client in memory that has room for so many unread frames.
pub(crate) async fn memory_with_room(endpoint: &Endpoint, probe: &Probe, query: &str, room: usize) -> Client {
    let target = format!("/socket/memory?vsn=2.0.0&probe={}&{query}", probe.name);
    memory_at_with_room(endpoint, &target, room).await
}

/// A client of another mount.
pub(crate) async fn memory_at(endpoint: &Endpoint, target: &str) -> Client {
    memory_at_with_room(endpoint, target, 100_000).await
}

async fn memory_at_with_room(endpoint: &Endpoint, target: &str, room: usize) -> Client {
    let request = http::Request::get(target).body(()).unwrap().into_parts().0;
    let accepted = endpoint.accept("memory", &HttpRequest::new(request)).await.unwrap();
    let (to_server, incoming) = mpsc::unbounded_channel();
    let (outgoing, from_server) = mpsc::channel(room);
    let transport = Memory { incoming, outgoing: tokio_util::sync::PollSender::new(outgoing) };
    let task = tokio::spawn(accepted.run(transport));
    Client::new(to_server, from_server, task)
}
