//! The same app in each framework.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use axum::routing::get;
use axum::serve::Listener;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use phoenix_server::{
    Channel, ConnectInfo, ConnectInfoKey, ConnectInfoOptions, Context, Crash, Endpoint, Flow, HttpRequest,
    JoinError, LongPollOptions, Payload, Refused, Router, Socket, SocketOptions, WebSocketOptions,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use warp::Filter;

use crate::raw::Scripted;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framework {
    Warp,
    Actix,
    Axum,
    Hyper,
}

pub(crate) const ALL: [Framework; 4] = [Framework::Warp, Framework::Actix, Framework::Axum, Framework::Hyper];

/// Knows how its client has come.
struct UserSocket(Value);

impl Socket for UserSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        if info.params.text("refuse").is_some() {
            return Err(Refused::new());
        }
        let uri = info.uri.expect("it is selected");
        Ok(Self(json!({"scheme": uri.scheme, "host": uri.host, "port": uri.port, "path": uri.path})))
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Facts>("facts");
    }
}

struct Facts;

impl Channel for Facts {
    type Socket = UserSocket;
    type Info = ();

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, cx.socket().0.clone().into()))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }
}

fn endpoint() -> Endpoint {
    let info = ConnectInfoOptions::default().with_keys([ConnectInfoKey::Uri]);
    let options = SocketOptions::new().websocket(WebSocketOptions::new().connect_info(info));
    let raw = SocketOptions::new().longpoll(LongPollOptions::new());
    let builder = Endpoint::builder().socket::<UserSocket>("/socket", options);
    builder.raw_socket::<Scripted>("/raw", raw).build().unwrap()
}

/// Serves the app until the test ends, and returns its address.
pub(crate) async fn start(framework: Framework, tls: Option<ServerConfig>) -> SocketAddr {
    match framework {
        Framework::Actix => actix(tls),
        Framework::Warp => warp_app(listen().await, tls),
        Framework::Axum => axum_app(listen().await, tls),
        Framework::Hyper => hyper_app(listen().await, tls),
    }
}

pub(crate) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn actix(tls: Option<ServerConfig>) -> SocketAddr {
    let (started, address) = mpsc::channel();
    std::thread::spawn(move || {
        let endpoint = endpoint();
        let app = move || {
            App::new()
                .configure(phoenix_adapter_actix::config(&endpoint))
                .route("/", web::get().to(|| async { "hello" }))
        };
        let server = HttpServer::new(app)
            .on_connect(phoenix_adapter_actix::on_connect)
            .client_disconnect_timeout(Duration::ZERO)
            .workers(1)
            .disable_signals();
        let server = match tls {
            Some(tls) => server.bind_rustls_0_23("127.0.0.1:0", tls).unwrap(),
            None => server.bind("127.0.0.1:0").unwrap(),
        };
        started.send(server.addrs()[0]).unwrap();
        actix_web::rt::System::new().block_on(server.run()).unwrap();
    });
    address.recv().unwrap()
}

/// warp has no TLS of its own any more: its service is served by hyper.
fn warp_app(listener: TcpListener, tls: Option<ServerConfig>) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    let hello = warp::path::end().map(|| "hello");
    match tls {
        None => {
            let app = phoenix_adapter_warp::endpoint(endpoint()).or(hello);
            tokio::spawn(warp::serve(app).incoming(listener).run());
        }
        Some(tls) => {
            let service = warp::service(phoenix_adapter_warp::endpoint_tls(endpoint()).or(hello));
            let mut listener = TlsListener::new(listener, tls);
            tokio::spawn(async move {
                loop {
                    let (stream, _) = Listener::accept(&mut listener).await;
                    let service = TowerToHyperService::new(service.clone());
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(connection.with_upgrades());
                }
            });
        }
    }
    address
}

fn axum_app(listener: TcpListener, tls: Option<ServerConfig>) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    let hello = axum::Router::new().route("/", get(|| async { "hello" }));
    match tls {
        None => {
            let app = hello.merge(phoenix_adapter_axum::router(&endpoint()));
            tokio::spawn(axum::serve(listener, app).into_future());
        }
        Some(tls) => {
            let app = hello.layer(phoenix_adapter_axum::EndpointLayer::new(endpoint()).tls(true));
            tokio::spawn(axum::serve(TlsListener::new(listener, tls), app).into_future());
        }
    }
    address
}

fn hyper_app(listener: TcpListener, tls: Option<ServerConfig>) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    match tls {
        None => tokio::spawn(serve_hyper(listener, false)),
        Some(tls) => tokio::spawn(serve_hyper(TlsListener::new(listener, tls), true)),
    };
    address
}

async fn serve_hyper(mut listener: impl Listener, tls: bool) {
    let endpoint = endpoint();
    loop {
        let (stream, _) = listener.accept().await;
        let endpoint = endpoint.clone();
        let service = hyper::service::service_fn(move |request| {
            let endpoint = endpoint.clone();
            async move {
                let facts = |request: HttpRequest| request.with_tls(tls);
                let answer = phoenix_adapter_hyper::handle(&endpoint, request, facts).await;
                Ok::<_, Infallible>(
                    answer.unwrap_or_else(|| http::Response::new(Bytes::from_static(b"hello").into())),
                )
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

/// A listener that does the TLS handshake.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    fn new(listener: TcpListener, tls: ServerConfig) -> Self {
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(tls)) }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // One after the other is enough for a test.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
