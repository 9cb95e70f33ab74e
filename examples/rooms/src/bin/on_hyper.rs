//! An endpoint on a bare hyper server, WebSocket and long polling: all that a framework needs of an adapter.

use std::convert::Infallible;
use std::error::Error;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use phoenix_adapter_hyper::{Body, handle};
use phoenix_server::{Endpoint, LongPollOptions, PeerData, SocketOptions};
use rooms::UserSocket;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = SocketOptions::new().longpoll(LongPollOptions::new());
    let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", options).build()?;
    let listener = TcpListener::bind("127.0.0.1:4000").await?;
    loop {
        let (stream, address) = listener.accept().await?;
        let endpoint = endpoint.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let endpoint = endpoint.clone();
            let peer = PeerData { address: Some(address), ..PeerData::default() };
            async move {
                let answer = handle(&endpoint, request, |facts| facts.with_peer(peer)).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(not_found))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

/// What is not the endpoint's is the rest of the application.
fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
