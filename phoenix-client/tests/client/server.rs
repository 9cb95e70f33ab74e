//! A server in memory: it takes the byte streams that the client makes, and the test says what it answers.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use phoenix_client::{ByteStream, Connect, Connecting, Target};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Hands the other end of every byte stream to the test.
#[derive(Clone)]
pub(crate) struct Wires(mpsc::UnboundedSender<(Target, DuplexStream)>);

/// The other ends, in the order in which they were made.
pub(crate) struct Arrivals(mpsc::UnboundedReceiver<(Target, DuplexStream)>);

pub(crate) fn wires() -> (Wires, Arrivals) {
    let (sender, arrivals) = mpsc::unbounded_channel();
    (Wires(sender), Arrivals(arrivals))
}

impl Connect for Wires {
    fn connect(&self, target: Target) -> Connecting {
        let (near, far) = tokio::io::duplex(64 << 10);
        let sent = self.0.send((target, far));
        Box::pin(async move {
            sent.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(near) as Box<dyn ByteStream>)
        })
    }
}

impl Arrivals {
    pub(crate) async fn stream(&mut self) -> (Target, DuplexStream) {
        self.0.recv().await.expect("the client connects")
    }

    /// Accepts a WebSocket.
    pub(crate) async fn accept(&mut self) -> Peer {
        let (target, stream) = self.stream().await;
        let seen = Arc::new(Mutex::new(None));
        let note = Arc::clone(&seen);
        #[expect(clippy::result_large_err, reason = "the signature of the library")]
        let answer = move |request: &Request, mut response: Response| {
            *note.lock().unwrap() = Some(request.clone());
            if request.headers().contains_key("sec-websocket-protocol") {
                response.headers_mut().insert("sec-websocket-protocol", "phoenix".parse().unwrap());
            }
            Ok::<_, ErrorResponse>(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, answer).await.expect("an upgrade");
        let request = seen.lock().unwrap().take().expect("a request");
        Peer { target, request, socket }
    }

    /// Refuses a WebSocket with an HTTP status.
    pub(crate) async fn refuse(&mut self, status: u16) {
        let (_, stream) = self.stream().await;
        #[expect(clippy::result_large_err, reason = "the signature of the library")]
        let answer = |_: &Request, _: Response| {
            let mut response = ErrorResponse::new(None);
            *response.status_mut() = status.try_into().expect("a status");
            Err::<Response, _>(response)
        };
        tokio_tungstenite::accept_hdr_async(stream, answer).await.expect_err("refused");
    }
}

/// The server's end of a WebSocket.
pub(crate) struct Peer {
    pub(crate) target: Target,
    pub(crate) request: Request,
    socket: WebSocketStream<DuplexStream>,
}

impl Peer {
    /// The next message of the client, as a V2 array.
    pub(crate) async fn receive(&mut self) -> Value {
        match self.frame().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("a text frame expected: {other:?}"),
        }
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Message> {
        self.socket.next().await?.ok()
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_frame(Message::Text(message.to_string().into())).await;
    }

    pub(crate) async fn send_frame(&mut self, message: Message) {
        self.socket.send(message).await.expect("connected");
    }

    /// Sends several frames in one go.
    pub(crate) async fn send_frames(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            self.socket.feed(message).await.expect("connected");
        }
        self.socket.flush().await.expect("connected");
    }

    /// Answers a message.
    pub(crate) async fn reply(&mut self, message: &Value, status: &str, response: &Value) {
        let payload = json!({ "status": status, "response": response });
        self.send(&json!([message[0], message[1], message[2], "phx_reply", payload])).await;
    }

    /// Expects a join and accepts it.
    pub(crate) async fn join(&mut self, topic: &str) -> Value {
        let join = self.receive().await;
        assert_eq!((&join[2], &join[3]), (&json!(topic), &json!("phx_join")));
        self.reply(&join, "ok", &json!({})).await;
        join
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.expect("connected");
        while self.frame().await.is_some() {}
    }
}
