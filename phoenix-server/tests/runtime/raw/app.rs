//! A socket that does what it is told, and clients of it.

use std::collections::HashMap;
use std::sync::Mutex;

use http::{Response, StatusCode};
use phoenix_server::{
    Close, CloseCode, ConnectInfo, Control, Crash, End, Endpoint, Frame, Incoming, RawContext, RawFlow,
    RawHandle, RawSocket, Refused, SocketOptions, TransportOptions,
};
use serde_json::json;

use crate::support::{Probe, RawClient, upgrade, upgrade_request};

/// Does what its messages say, and tells its probe.
pub(super) struct Scripted {
    probe: Probe,
    id: Option<String>,
    params: String,
    init: Option<String>,
    terminate: Option<String>,
}

#[derive(Debug)]
pub(super) enum Info {
    Push(String),
    Wait,
    Crash,
    Panic,
    Stop,
}

/// Keeps the handles of the sockets by the names of their probes.
static HANDLES: Mutex<Option<HashMap<String, RawHandle<Info>>>> = Mutex::new(None);

impl RawSocket for Scripted {
    type Info = Info;

    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        let param = |name| info.params.text(name).map(str::to_owned);
        match param("connect").as_deref() {
            Some("refuse") => return Err(Refused::new()),
            Some("because") => return Err(Refused::because("a reason")),
            Some("panic") => panic!("connect"),
            _ => {}
        }
        let probe = Probe::find(&param("probe").unwrap_or_default()).ok_or_else(Refused::new)?;
        let params = json!({"params": info.params, "custom": info.custom}).to_string();
        let (id, init, terminate) = (param("id"), param("init"), param("terminate"));
        Ok(Self { probe, id, params, init, terminate })
    }

    fn id(&self) -> Option<String> {
        self.id.clone()
    }

    async fn init(&mut self, cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        self.probe.log(format!("init over {}", cx.transport()));
        HANDLES.lock().unwrap().get_or_insert_default().insert(self.probe.name.clone(), cx.handle());
        match self.init.as_deref() {
            Some("push") => Ok(RawFlow::push("hello")),
            Some("wait") => {
                self.probe.wait().await;
                Ok(RawFlow::push("hello"))
            }
            Some("stop") => Ok(RawFlow::stop()),
            Some("crash") => Err(Crash::new("init")),
            _ => Ok(RawFlow::CONTINUE),
        }
    }

    async fn handle_in(&mut self, message: Incoming, cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        let text = match &message {
            Incoming::Text(text) => text.clone(),
            Incoming::Binary(_) => return Ok(RawFlow::reply(message)),
        };
        self.probe.log(format!("in {text}"));
        Ok(match text.split_once(' ').unwrap_or((&text, "")) {
            ("params", _) => RawFlow::reply(self.params.as_str()),
            ("silence", _) => RawFlow::CONTINUE,
            ("frames", _) => RawFlow::reply("one")
                .and(vec![2])
                .and(Frame::ping("three")?)
                .and(Frame::pong("four")?)
                .and("five"),
            ("ping", payload) => RawFlow::reply(Frame::ping(payload)?),
            ("push", _) => {
                cx.push("pushed");
                RawFlow::reply("replied")
            }
            ("later", text) => {
                cx.handle().send(Info::Push(text.to_owned()))?;
                RawFlow::CONTINUE
            }
            ("wait", _) => {
                self.probe.wait().await;
                RawFlow::reply("waited")
            }
            ("subscribe", topic) => {
                cx.subscribe(topic, |broadcast| {
                    Info::Push(format!("{}: {:?}", broadcast.topic, broadcast.event))
                });
                RawFlow::reply("subscribed")
            }
            ("unsubscribe", topic) => {
                cx.unsubscribe(topic);
                RawFlow::reply("unsubscribed")
            }
            ("broadcast", topic) => {
                cx.pubsub().broadcast(topic, "news", json!({}))?;
                RawFlow::reply("sent")
            }
            ("stop", _) => RawFlow::push("bye").and_stop(),
            ("close", code) => {
                RawFlow::push("bye").and_close(Close::new(CloseCode::new(code.parse()?), "enough"))
            }
            ("restart", _) => RawFlow::close(CloseCode::RESTART),
            ("error", _) => return Err(Crash::new("handle_in")),
            ("panic", _) => panic!("handle_in"),
            _ => RawFlow::reply(message),
        })
    }

    async fn handle_control(&mut self, control: Control, _: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        let (name, payload) = match &control {
            Control::Ping(payload) => ("ping", payload),
            Control::Pong(payload) => ("pong", payload),
        };
        match &payload[..] {
            b"crash" => Err(Crash::new("handle_control")),
            b"stop" => Ok(RawFlow::stop()),
            _ => Ok(RawFlow::push(format!("{name}:{}", String::from_utf8_lossy(payload)))),
        }
    }

    async fn handle_info(&mut self, info: Info, _: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        self.probe.log(format!("info {info:?}"));
        match info {
            Info::Push(text) => Ok(RawFlow::push(text)),
            Info::Wait => {
                self.probe.wait().await;
                Ok(RawFlow::push("waited"))
            }
            Info::Crash => Err(Crash::new("handle_info")),
            Info::Panic => panic!("handle_info"),
            Info::Stop => Ok(RawFlow::stop()),
        }
    }

    async fn terminate(&mut self, end: End, cx: &mut RawContext<Self>) {
        self.probe.log(format!("terminate {end} {:?}", cx.close_code().map(CloseCode::get)));
        cx.push("nobody hears this");
        match self.terminate.as_deref() {
            Some("panic") => panic!("terminate"),
            Some("hang") => std::future::pending().await,
            _ => {}
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.probe.log("dropped");
    }
}

impl Probe {
    /// The handle of the raw socket.
    pub(super) fn raw_handle(&self) -> RawHandle<Info> {
        HANDLES.lock().unwrap().as_ref().unwrap()[&self.name].clone()
    }

    pub(super) async fn expect(&self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.next().await, *line);
        }
    }
}

/// An endpoint with that socket at `/raw`, over WebSockets and in memory.
pub(super) fn endpoint() -> Endpoint {
    endpoint_with(SocketOptions::new())
}

pub(super) fn endpoint_with(options: SocketOptions) -> Endpoint {
    let options = options.transport("memory", TransportOptions::new("memory"));
    Endpoint::builder().raw_socket::<Scripted>("/raw", options).build().unwrap()
}

/// Connects a WebSocket with room for so many unread bytes.
pub(super) async fn connect_with(endpoint: &Endpoint, probe: &Probe, query: &str, room: usize) -> RawClient {
    let target = format!("/raw/websocket?probe={}&{query}", probe.name);
    let upgrade = upgrade(endpoint, upgrade_request(&target)).await;
    let (stream, server) = tokio::io::duplex(room);
    RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) }
}

/// Connects a WebSocket whose socket has begun.
pub(super) async fn connect(endpoint: &Endpoint, probe: &Probe, query: &str) -> RawClient {
    let client = connect_with(endpoint, probe, query, 1 << 20).await;
    probe.expect(&["init over websocket"]).await;
    client
}

impl RawClient {
    pub(super) async fn say(&mut self, text: &str) {
        self.send_frame(0x81, text.as_bytes()).await;
    }

    /// Expects a text.
    pub(super) async fn hear(&mut self, text: &str) {
        self.expect_frame(0x81, text).await;
    }

    pub(super) async fn expect_frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        assert_eq!(self.recv_frame().await, (first, payload.as_ref().to_vec()));
    }

    /// Expects an answer, which there is only if the connection lives, and nothing else before.
    pub(super) async fn expect_alive(&mut self) {
        self.say("are you there").await;
        self.hear("are you there").await;
    }
}

/// The answer to a request that becomes no connection.
pub(super) async fn refusal(endpoint: &Endpoint, request: http::request::Builder) -> (StatusCode, String) {
    let request = phoenix_server::HttpRequest::new(request.body(()).unwrap().into_parts().0);
    let phoenix_server::Answer::Response(response) = endpoint.handle(request).await else {
        panic!("it is accepted")
    };
    let response: Response<_> = response;
    (response.status(), String::from_utf8(response.body().to_vec()).unwrap())
}
