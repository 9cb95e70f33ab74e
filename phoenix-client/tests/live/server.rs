//! The server in each of the frameworks, and a client on its way to it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::{App, HttpServer};
use futures_util::StreamExt;
use phoenix_client::{Channel, ChannelEvent, Events, Socket, SocketBuilder, Transport};
use phoenix_server::{Endpoint, Presence};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::app;
use crate::proxy::Proxy;

#[derive(Clone, Copy)]
pub(crate) enum Adapter {
    Warp,
    Actix,
    Axum,
}

/// A server, the proxy in front of it, and how clients connect.
pub(crate) struct World {
    adapter: Adapter,
    pub(crate) transport: Transport,
    pub(crate) server: Server,
    pub(crate) proxy: Proxy,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    _presence: Presence,
    stop: Stop,
}

enum Stop {
    Task(JoinHandle<()>),
    Actix(actix_web::dev::ServerHandle),
}

impl World {
    pub(crate) async fn start(adapter: Adapter, transport: Transport) -> Self {
        let server = Server::start(adapter);
        let proxy = Proxy::start(server.address).await;
        Self { adapter, transport, server, proxy }
    }

    /// A client of the open socket; nothing it waits for is given up on a busy machine.
    pub(crate) fn client(&self) -> SocketBuilder {
        self.client_at("socket")
    }

    pub(crate) fn client_at(&self, mount: &str) -> SocketBuilder {
        Socket::builder(format!("ws://{}/{mount}", self.proxy.address))
            .transport(self.transport)
            .timeout(Duration::from_secs(120))
            .configure(|config| config.long_poll_timeout = Duration::from_secs(120))
    }

    /// Shuts the server down in order; the link leads nowhere then.
    pub(crate) async fn shut_down(&mut self) {
        self.proxy.lead_to(None);
        self.server.endpoint.shutdown().await;
    }

    /// Starts another server in place of this one.
    pub(crate) fn start_again(&mut self) {
        self.server = Server::start(self.adapter);
        self.proxy.lead_to(Some(self.server.address));
    }
}

impl Server {
    fn start(adapter: Adapter) -> Self {
        let (endpoint, presence) = app::endpoint();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let served = endpoint.clone();
        let stop = match adapter {
            Adapter::Warp => {
                let listener = tokio::net::TcpListener::from_std(listener).expect("in a runtime");
                let served = phoenix_adapter_warp::endpoint(served);
                Stop::Task(tokio::spawn(warp::serve(served).incoming(listener).run()))
            }
            Adapter::Axum => {
                let listener = tokio::net::TcpListener::from_std(listener).expect("in a runtime");
                let app = phoenix_adapter_axum::router(&served);
                Stop::Task(tokio::spawn(async move {
                    axum::serve(listener, app).await.expect("serving");
                }))
            }
            Adapter::Actix => Stop::Actix(actix(served, listener)),
        };
        Self { endpoint, address, _presence: presence, stop }
    }
}

/// actix-web has runtimes of its own.
fn actix(endpoint: Endpoint, listener: TcpListener) -> actix_web::dev::ServerHandle {
    let (sender, handle) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || App::new().configure(phoenix_adapter_actix::config(&endpoint));
            let server = HttpServer::new(app)
                .on_connect(phoenix_adapter_actix::on_connect)
                .workers(1)
                .client_disconnect_timeout(Duration::ZERO)
                .h1_allow_half_closed(false)
                .disable_signals()
                .listen(listener)
                .expect("listening")
                .run();
            sender.send(server.handle()).expect("waited for");
            server.await.expect("serving");
        });
    });
    handle.recv().expect("it starts")
}

impl Drop for Server {
    fn drop(&mut self) {
        match &self.stop {
            Stop::Task(task) => task.abort(),
            // The order is given by the call.
            Stop::Actix(handle) => drop(handle.stop(false)),
        }
    }
}

/// Waits for an event of a channel.
pub(crate) async fn until(
    events: &mut Events<ChannelEvent>,
    wanted: impl Fn(&ChannelEvent) -> bool,
) -> ChannelEvent {
    loop {
        let event = events.next().await.expect("the channel is not over");
        if wanted(&event) {
            return event;
        }
    }
}

/// Waits for a message of this event, and returns its payload.
pub(crate) async fn message(events: &mut Events<ChannelEvent>, name: &str) -> phoenix_client::Payload {
    let wanted =
        |event: &ChannelEvent| matches!(event, ChannelEvent::Message(message) if message.event == *name);
    match until(events, wanted).await {
        ChannelEvent::Message(message) => message.payload,
        other => panic!("just checked: {other:?}"),
    }
}

pub(crate) fn is_joined(event: &ChannelEvent) -> bool {
    matches!(event, ChannelEvent::Joined(_))
}

/// What the room answers to an `echo`.
pub(crate) async fn echo(room: &Channel, payload: &Value) -> Value {
    room.push("echo", payload).await.expect("an answer").payload.parse().expect("JSON")
}
