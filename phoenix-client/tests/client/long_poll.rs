//! Connections by long polling, and the fallback to it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use phoenix_client::{ChannelEvent, ConnectError, ConnectionEvent, Fallback, Socket, Transport};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::server::{Arrivals, wires};

/// A session of a long-poll server that answers every message with status ok.
#[derive(Default)]
struct Session {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Default)]
struct State {
    open: bool,
    messages: VecDeque<String>,
    requests: Vec<String>,
    refuse: bool,
}

impl Session {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let token = head.headers.get("x-phoenix-authtoken").map(|token| token.to_str().unwrap().to_owned());
        self.state.lock().unwrap().requests.push(format!(
            "{} {} {}",
            head.method,
            head.uri,
            token.unwrap_or_default()
        ));
        let answer = if head.method == Method::POST { self.take(&body) } else { self.poll().await };
        Ok(Response::new(Full::new(answer.to_string().into())))
    }

    fn take(&self, body: &[u8]) -> Value {
        let mut state = self.state.lock().unwrap();
        for line in body.split(|byte| *byte == b'\n') {
            let message: Value = serde_json::from_slice(line).expect("a message");
            let payload = json!({ "status": "ok", "response": message[4] });
            let reply = json!([message[0], message[1], message[2], "phx_reply", payload]);
            state.messages.push_back(reply.to_string());
        }
        self.filled.notify_one();
        json!({ "status": 200 })
    }

    async fn poll(&self) -> Value {
        loop {
            {
                let mut state = self.state.lock().unwrap();
                if state.refuse {
                    return json!({ "status": 403 });
                }
                if !std::mem::replace(&mut state.open, true) {
                    return json!({ "status": 410, "token": "T", "messages": [] });
                }
                if !state.messages.is_empty() {
                    let messages: Vec<_> = state.messages.drain(..).collect();
                    return json!({ "status": 200, "token": "T", "messages": messages });
                }
            }
            self.filled.notified().await;
        }
    }
}

/// Serves HTTP on every byte stream.
fn serve(mut arrivals: Arrivals, session: &Arc<Session>) {
    let session = Arc::clone(session);
    tokio::spawn(async move {
        loop {
            let (_, stream) = arrivals.stream().await;
            let session = Arc::clone(&session);
            let service = service_fn(move |request| Arc::clone(&session).answer(request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_session_joins_and_pushes() {
    let (connector, arrivals) = wires();
    let session = Arc::new(Session::default());
    serve(arrivals, &session);
    let socket = Socket::builder("ws://example.com/socket")
        .connector(connector)
        .transport(Transport::LongPoll)
        .auth_token("secret")
        .connect()
        .unwrap();
    let room = socket.channel("room", ());
    let mut events = room.events();
    room.join().await.unwrap();
    assert!(matches!(events.next().await, Some(ChannelEvent::Joined(_))));
    let pushes: Vec<_> = (0..250).map(|n| room.push("n", &json!({ "n": n }))).collect();
    for (n, push) in pushes.into_iter().enumerate() {
        let reply: Value = push.await.unwrap().payload.parse().unwrap();
        assert_eq!(reply["n"], n);
    }
    socket.disconnect().await;
    let requests = std::mem::take(&mut session.state.lock().unwrap().requests);
    assert_eq!(requests[0], "GET /socket/longpoll?vsn=2.0.0 secret");
    assert!(requests[1..].iter().all(|request| request.contains("/socket/longpoll?vsn=2.0.0&token=T")));
    let posts = requests.iter().filter(|request| request.starts_with("POST")).count();
    assert!((4..20).contains(&posts), "{posts} requests for 251 messages");
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_tells_so() {
    let (connector, arrivals) = wires();
    let session = Arc::new(Session::default());
    session.state.lock().unwrap().refuse = true;
    serve(arrivals, &session);
    let builder = Socket::builder("ws://example.com/socket").connector(connector);
    let socket = builder.transport(Transport::LongPoll).build().unwrap();
    assert_eq!(socket.connect().await, Err(ConnectError::Refused(403)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_websocket_falls_back() {
    let (connector, mut arrivals) = wires();
    let builder = Socket::builder("ws://example.com/socket").connector(connector);
    let socket = builder.fallback(Fallback::after(Duration::from_secs(2))).build().unwrap();
    let mut events = socket.events();
    let connecting = socket.connect();
    let room = socket.channel("room", ());
    let joining = room.join();
    arrivals.refuse(404).await;
    serve(arrivals, &Arc::new(Session::default()));
    connecting.await.unwrap();
    joining.await.unwrap();
    assert_eq!(events.next().await, Some(ConnectionEvent::FellBack));
    assert_eq!(events.next().await, Some(ConnectionEvent::Opened(Transport::LongPoll)));
    assert_eq!(events.next().await, Some(ConnectionEvent::FallbackConfirmed));
}
