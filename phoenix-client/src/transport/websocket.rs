//! A connection by WebSocket.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Method, Request, Response, Uri};
use phoenix_proto::client::{Closed, ConnectRequest, Outgoing};
use phoenix_proto::{Incoming, Text};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Fact, Link, Order};
use crate::connector::{ByteStream, Target};
use crate::wire::{Direction, WireEvent};

type Socket = WebSocketStream<Box<dyn ByteStream>>;

/// How long the server may take to end the byte stream when both sides have closed.
const END: Duration = Duration::from_secs(1);

/// Runs a connection to its end.
pub(super) async fn run(link: &Link, request: &ConnectRequest, mut orders: mpsc::Receiver<Order>) -> Closed {
    let socket = tokio::select! {
        socket = timeout(link.environment.connect_timeout, connect(link, request)) => match socket {
            Ok(Ok(socket)) => socket,
            Ok(Err(closed)) => return closed,
            Err(_) => {
                tracing::debug!("the connection takes too long");
                return Closed::failed();
            }
        },
        // Nothing is sent before the connection is open: this is a close.
        _ = orders.recv() => return Closed::failed(),
    };
    link.report(Fact::Open).await;
    let (mut sink, mut stream) = socket.split();
    let closed = tokio::select! {
        closed = read(link, &mut stream) => closed,
        error = write(link, &mut sink, &mut orders) => {
            tracing::debug!(%error, "the connection failed");
            Closed::failed()
        }
    };
    // The answer to a close frame is waiting to be flushed; then it is up to the server to end the byte stream.
    let end = async {
        let _ = sink.close().await;
        is_at_end(&mut stream).await
    };
    if timeout(END, end).await.unwrap_or(false) {
        link.observe(&WireEvent::End);
    }
    closed
}

/// Waits until there is nothing more to read; false if that was not because the server ended the stream.
async fn is_at_end(stream: &mut SplitStream<Socket>) -> bool {
    loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return false,
            None => return true,
        }
    }
}

async fn connect(link: &Link, request: &ConnectRequest) -> Result<Socket, Closed> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, "the connection cannot be made");
        Closed::failed()
    };
    let upgrade = upgrade(request).map_err(|error| failed(&error))?;
    let target = Target::of(upgrade.uri()).ok_or_else(|| failed(&"no address of a WebSocket"))?;
    let stream = link.environment.connector.connect(target).await.map_err(|error| failed(&error))?;
    link.observe(&WireEvent::Request { upgrade: true, request: &upgrade, body: &Bytes::new() });
    let answered = |response: Response<Option<Vec<u8>>>| {
        let (parts, body) = response.into_parts();
        let response = Response::from_parts(parts, ());
        let body = body.map(Bytes::from).unwrap_or_default();
        link.observe(&WireEvent::Response {
            method: &Method::GET,
            upgrade: true,
            response: &response,
            body: &body,
        });
    };
    match client_async(upgrade, stream).await {
        Ok((socket, response)) => {
            answered(response);
            Ok(socket)
        }
        Err(Error::Http(response)) => {
            let status = response.status().as_u16();
            answered(*response);
            Err(Closed::refused(status))
        }
        Err(error) => Err(failed(&error)),
    }
}

fn upgrade(request: &ConnectRequest) -> Result<Request<()>, Error> {
    let uri: Uri = request.url.parse().map_err(http::Error::from)?;
    let mut upgrade = uri.into_client_request()?;
    if let Some(protocols) = request.subprotocols() {
        let value = HeaderValue::try_from(protocols.join(", ")).map_err(http::Error::from)?;
        upgrade.headers_mut().insert(http::header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(upgrade)
}

/// Reports what comes, until the end.
async fn read(link: &Link, stream: &mut SplitStream<Socket>) -> Closed {
    while let Some(message) = stream.next().await {
        let incoming = match message {
            Ok(Message::Text(text)) => match Text::from_utf8(text.into()) {
                Ok(text) => Incoming::Text(text),
                Err(_) => return Closed::failed(),
            },
            Ok(Message::Binary(data)) => Incoming::Binary(data),
            Ok(Message::Close(frame)) => {
                let code = frame.as_ref().map(|frame| frame.code.into());
                let reason = frame.as_ref().map_or("", |frame| frame.reason.as_str());
                link.observe(&WireEvent::Close { direction: Direction::ToClient, code, reason });
                return Closed::by_frame(code, reason);
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Err(error) => {
                tracing::debug!(%error, "the connection failed");
                return Closed::failed();
            }
        };
        link.observe(&WireEvent::Frame { direction: Direction::ToClient, data: &incoming });
        link.report(Fact::Frame(incoming)).await;
    }
    Closed::failed()
}

/// Sends what is ordered; ends with an error only.
async fn write(
    link: &Link,
    sink: &mut SplitSink<Socket, Message>,
    orders: &mut mpsc::Receiver<Order>,
) -> Error {
    while let Some(order) = orders.recv().await {
        let mut next = Some(order);
        // What waits together leaves together.
        while let Some(order) = next.take() {
            if let Err(error) = sink.feed(message(link, order)).await {
                return error;
            }
            next = orders.try_recv().ok();
        }
        if let Err(error) = sink.flush().await {
            return error;
        }
    }
    // The driver is gone.
    Error::Io(io::ErrorKind::ConnectionAborted.into())
}

fn message(link: &Link, order: Order) -> Message {
    let (message, data) = match order {
        Order::Send(Outgoing::Text(text)) => {
            let frame = Utf8Bytes::try_from(text.clone().into_bytes()).expect("a text is UTF-8");
            (Message::Text(frame), Incoming::Text(text))
        }
        Order::Send(Outgoing::Binary(data)) => (Message::Binary(data.clone()), Incoming::Binary(data)),
        Order::Close { code, reason } => {
            link.observe(&WireEvent::Close { direction: Direction::ToServer, code, reason: &reason });
            let frame = code.map(|code| CloseFrame {
                code: CloseCode::from(code),
                reason: Utf8Bytes::from(reason.as_str()),
            });
            return Message::Close(frame);
        }
    };
    link.observe(&WireEvent::Frame { direction: Direction::ToServer, data: &data });
    message
}
