//! An application, and clients that talk to it without a network.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use phoenix_adapter_longpoll::Body;
use phoenix_server::{
    Answer, Channel, ConnectInfo, Context, Crash, End, Endpoint, EndpointBuilder, Flow, HttpRequest,
    JoinError, LongPollOptions, Payload, Refused, Router, SecretKeyBase, Socket, SocketOptions, Status,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What the channels have to say to a test.
pub(crate) type Log = mpsc::UnboundedSender<String>;

tokio::task_local! {
    static LOG: Log;
}

pub(crate) struct TestSocket {
    id: Option<String>,
    log: Option<Log>,
}

impl Socket for TestSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        match info.params.text("connect") {
            Some("refuse") => Err(Refused::because("a reason")),
            Some("panic") => panic!("connect"),
            Some("token") if info.auth_token.as_deref() != Some("secret") => Err(Refused::new()),
            _ => Ok(Self {
                id: info.params.text("id").map(str::to_owned),
                log: LOG.try_with(Clone::clone).ok(),
            }),
        }
    }

    fn id(&self) -> Option<String> {
        self.id.clone()
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("room:*");
    }
}

struct Room {
    log: Option<Log>,
}

impl Channel for Room {
    type Socket = TestSocket;
    type Info = ();

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self { log: cx.socket().log.clone() }, Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "shout" => {
                cx.broadcast("shout", payload)?;
                Ok(Flow::Continue)
            }
            "size" => {
                let size = payload.as_binary().map(Bytes::len);
                Ok(Flow::Reply(Status::OK, Payload::json(&json!({"size": size}))?))
            }
            "push_binary" => {
                let refused = cx.push("data", Payload::Binary("abc".into())).unwrap_err().to_string();
                Ok(Flow::Reply(Status::ERROR, Payload::json(&json!({"reason": refused}))?))
            }
            "reply_binary" => Ok(Flow::Reply(Status::OK, Payload::Binary("abc".into()))),
            "hang" => std::future::pending().await,
            _ => Ok(Flow::Reply(Status::OK, payload)),
        }
    }

    async fn terminate(&mut self, reason: End, _: &mut Context<Self>) {
        if let Some(log) = &self.log {
            let _ = log.send(reason.to_string());
        }
    }
}

/// An endpoint with long polling at `/socket`.
pub(crate) fn endpoint() -> Endpoint {
    endpoint_with(LongPollOptions::new())
}

pub(crate) fn endpoint_with(options: LongPollOptions) -> Endpoint {
    mounted(Endpoint::builder(), SocketOptions::new().longpoll(options))
}

pub(crate) fn mounted(builder: EndpointBuilder, options: SocketOptions) -> Endpoint {
    builder.socket::<TestSocket>("/socket", options).build().unwrap()
}

pub(crate) fn secret(letter: &str) -> SecretKeyBase {
    SecretKeyBase::new(letter.repeat(64)).unwrap()
}

/// Sends a request as an adapter does.
pub(crate) async fn send(endpoint: &Endpoint, request: Request<Bytes>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match endpoint.handle(HttpRequest::new(parts)).await {
        Answer::LongPoll(request) => phoenix_adapter_longpoll::answer(request, Full::new(body)).await,
        other => panic!("no request for long polling: {other:?}"),
    }
}

/// The JSON in the body of an answer, which is then the client's.
pub(crate) fn json_of(mut response: Response<Body>) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(&response.body_mut().take()).unwrap()
}

/// One client with its session.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) query: String,
    pub(crate) token: String,
}

impl Client {
    /// Opens a session.
    pub(crate) async fn open(endpoint: &Endpoint) -> Self {
        Self::open_with(endpoint, "").await
    }

    pub(crate) async fn open_with(endpoint: &Endpoint, query: &str) -> Self {
        let query = format!("vsn=2.0.0{query}");
        let client = Self { endpoint: endpoint.clone(), query, token: String::new() };
        let opened = client.get().await;
        assert_eq!((&opened["status"], &opened["messages"]), (&json!(410), &json!([])));
        Self { token: opened["token"].as_str().unwrap().to_owned(), ..client }
    }

    /// Opens a session that tells how its channel ended, and joins `room:1`.
    pub(crate) async fn open_logged(
        endpoint: &Endpoint,
        query: &str,
    ) -> (Self, mpsc::UnboundedReceiver<String>) {
        let (log, ended) = mpsc::unbounded_channel();
        let client = LOG.scope(log, Self::open_with(endpoint, query)).await;
        client.join().await;
        (client, ended)
    }

    /// Joins `room:1` and fetches the reply.
    pub(crate) async fn join(&self) {
        assert_eq!(self.post(r#"["1","1","room:1","phx_join",{}]"#).await, 200);
        let reply = r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#;
        assert_eq!(self.messages().await, [reply]);
    }

    pub(crate) fn at(&self, endpoint: &Endpoint) -> Self {
        Self { endpoint: endpoint.clone(), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, body: &str) -> Request<Bytes> {
        let uri = format!("/socket/longpoll?{}&token={}", self.query, self.token);
        let request =
            Request::builder().method(method).uri(uri).header("content-type", "application/x-ndjson");
        request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    /// A poll without a decision of what becomes of the answer.
    pub(crate) async fn poll(&self) -> Response<Body> {
        send(&self.endpoint, self.request(Method::GET, "")).await
    }

    pub(crate) async fn get(&self) -> Value {
        json_of(self.poll().await)
    }

    /// Polls for messages.
    pub(crate) async fn messages(&self) -> Vec<String> {
        messages(&self.get().await)
    }

    /// Polls for a window without messages.
    pub(crate) async fn silence(&self) {
        let start = Instant::now();
        assert_eq!(self.get().await, json!({"messages": [], "status": 204, "token": self.token}));
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    /// The status of a POST.
    pub(crate) async fn post(&self, body: &str) -> u64 {
        let answer = json_of(send(&self.endpoint, self.request(Method::POST, body)).await);
        assert_eq!(answer.as_object().unwrap().len(), 1);
        answer["status"].as_u64().unwrap()
    }

    /// A poll in a task of its own that waits.
    pub(crate) async fn waiting(&self) -> tokio::task::JoinHandle<Value> {
        let client = self.clone();
        let poll = tokio::spawn(async move { client.get().await });
        settle().await;
        poll
    }

    /// Asserts that the session is gone: a new one is opened at once.
    pub(crate) async fn assert_gone(&self) {
        let start = Instant::now();
        assert_eq!(self.post("").await, 410);
        let opened = self.get().await;
        assert_eq!(opened["status"], 410);
        assert_ne!(opened["token"], *self.token);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

pub(crate) fn messages(answer: &Value) -> Vec<String> {
    assert_eq!(answer["status"], 200, "{answer}");
    answer["messages"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn shout(number: u64) -> String {
    format!(r#"[null,null,"room:1","shout",{{"n":{number}}}]"#)
}

/// Lets everything happen that needs no time.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
