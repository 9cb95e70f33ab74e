use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use phoenix_server::{
    Broadcast, Channel, ChannelHandle, ConnectInfo, Context, Crash, End, Endpoint, Flow, JoinError, Payload,
    Refused, Router, Socket, SocketOptions, Status, TransportOptions,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

/// What a test sees and controls of the application behind its connections.
#[derive(Clone)]
pub(crate) struct Probe {
    /// The parameter that connects a client with it.
    pub(crate) name: String,
    /// What `wait` callbacks wait for.
    pub(crate) gate: Arc<Semaphore>,
    log: mpsc::UnboundedSender<String>,
    seen: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>>,
    handles: Arc<Mutex<HashMap<String, ChannelHandle<Info>>>>,
}

/// A new probe.
pub(crate) fn probe() -> Probe {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (log, seen) = mpsc::unbounded_channel();
    let probe = Probe {
        name: NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
        gate: Arc::new(Semaphore::new(0)),
        log,
        seen: Arc::new(tokio::sync::Mutex::new(seen)),
        handles: Arc::default(),
    };
    probes().lock().unwrap().insert(probe.name.clone(), probe.clone());
    probe
}

fn probes() -> &'static Mutex<HashMap<String, Probe>> {
    static PROBES: OnceLock<Mutex<HashMap<String, Probe>>> = OnceLock::new();
    PROBES.get_or_init(Mutex::default)
}

impl Probe {
    /// The probe that the parameter of a client names.
    pub(crate) fn find(name: &str) -> Option<Self> {
        probes().lock().unwrap().get(name).cloned()
    }

    pub(crate) fn log(&self, line: impl Into<String>) {
        let _ = self.log.send(line.into());
    }

    /// The next thing that happened in the application.
    pub(crate) async fn next(&self) -> String {
        let mut seen = self.seen.lock().await;
        tokio::time::timeout(PATIENCE, seen.recv()).await.expect("something happens").unwrap()
    }

    /// Asserts that nothing happens any more.
    pub(crate) async fn assert_silent(&self) {
        let mut seen = self.seen.lock().await;
        if let Ok(line) = tokio::time::timeout(PATIENCE, seen.recv()).await {
            panic!("unexpected: {line:?}");
        }
    }

    /// Lets so many waiting callbacks go on.
    pub(crate) fn open_gate(&self, callbacks: usize) {
        self.gate.add_permits(callbacks);
    }

    /// The handle of the channel that joined a topic last.
    pub(crate) fn handle(&self, topic: &str) -> ChannelHandle<Info> {
        self.handles.lock().unwrap()[topic].clone()
    }

    pub(crate) async fn wait(&self) {
        self.gate.acquire().await.unwrap().forget();
    }
}

/// Virtual time after which nothing more is expected to happen by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct TestSocket {
    pub(crate) probe: Probe,
    id: Option<String>,
    user: Option<String>,
}

impl Socket for TestSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        let param = |name: &str| info.params.get(name).and_then(|param| param.as_str()).map(str::to_owned);
        match param("connect").as_deref() {
            Some("refuse") => return Err(Refused::new()),
            Some("because") => return Err(Refused::because("a reason")),
            Some("teapot") => {
                let mut response = http::Response::new("short and stout".into());
                *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
                return Err(Refused::respond(response));
            }
            Some("panic") => panic!("connect"),
            _ => {}
        }
        let name = param("probe").unwrap_or_default();
        let probe = Probe::find(&name).ok_or_else(Refused::new)?;
        Ok(Self { probe, id: param("id"), user: param("user") })
    }

    fn id(&self) -> Option<String> {
        assert_ne!(self.id.as_deref(), Some("panic"));
        self.id.clone()
    }

    fn channels(router: &mut Router<Self>) {
        router
            .channel::<Room>("room:*")
            .channel_with::<Room>("data:*", 42_u32)
            .channel::<Trap>("trap:*")
            .channel::<Tap>("tap:*");
    }
}

impl Drop for TestSocket {
    fn drop(&mut self) {
        self.probe.log("socket dropped");
    }
}

/// Does what its events say.
pub(crate) struct Room {
    probe: Probe,
    topic: String,
    terminate: Option<String>,
    panics_in_drop: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Info {
    Push(String),
    Crash,
    Panic,
    Stop,
    Wait,
    Reply,
    Disconnect,
    Again,
    Drain,
}

impl Room {
    async fn accept<C: Channel<Socket = TestSocket, Info = Info>>(
        params: &Payload,
        cx: &Context<C>,
    ) -> Result<(Self, Payload), JoinError> {
        let params: Value = params.parse().unwrap_or_default();
        let probe = cx.socket().probe.clone();
        match params["join"].as_str() {
            Some("refuse") => return Err(JoinError::refuse(json!({"reason": "not you"}))),
            Some("crash") => return Err(std::fmt::Error.into()),
            Some("panic") => panic!("join"),
            Some("wait") => {
                probe.log(format!("joining {}", cx.topic()));
                probe.wait().await;
            }
            Some("after_join") => cx.handle().send(Info::Push("after join".to_owned()))?,
            Some("early") => {
                let early = [
                    cx.push("early", Payload::EMPTY),
                    cx.broadcast("early", Payload::EMPTY),
                    cx.broadcast_from("early", Payload::EMPTY),
                ];
                let early = early.map(|result| result.unwrap_err().to_string());
                return Err(JoinError::refuse(json!({ "early": early })));
            }
            _ => {}
        }
        probe.handles.lock().unwrap().insert(cx.topic().to_owned(), cx.handle());
        let room = Self {
            probe,
            topic: cx.topic().to_owned(),
            terminate: params["terminate"].as_str().map(str::to_owned),
            panics_in_drop: params["drop"] == "panic",
        };
        let reply = if params["reply"].is_null() { Payload::EMPTY } else { params["reply"].clone().into() };
        Ok((room, reply))
    }

    async fn act<C: Channel<Socket = TestSocket, Info = Info>>(
        &self,
        event: &str,
        payload: Payload,
        cx: &mut Context<C>,
        map: fn(String) -> C::Info,
    ) -> Result<Flow, Crash> {
        let topic = || -> String { payload.parse::<Value>().unwrap()["topic"].as_str().unwrap().to_owned() };
        match event {
            "echo" => return Ok(Flow::ok(payload)),
            "error" => return Ok(Flow::error(payload)),
            "maybe" => return Ok(Flow::Reply(Status::new("maybe"), payload)),
            "quiet" => {}
            "push" => cx.push("pushed", payload)?,
            "broadcast" => cx.broadcast("shout", payload)?,
            "broadcast_from" => cx.broadcast_from("shout", payload)?,
            "tapped" => cx.broadcast("tapped", payload)?,
            "mix" => {
                cx.broadcast("one", json!({}))?;
                cx.push("two", json!({}))?;
                cx.broadcast("three", json!({}))?;
                cx.reply(Status::OK, json!("four"))?;
                cx.push("five", json!({}))?;
                return Ok(Flow::ok(json!("six")));
            }
            "later" => {
                let (reply, probe) = (cx.reply_to()?, self.probe.clone());
                tokio::spawn(async move {
                    probe.wait().await;
                    reply.send(Status::OK, json!("first")).unwrap();
                    reply.send(Status::ERROR, json!("second")).unwrap();
                });
            }
            "no_ref" => {
                let error = cx.reply_to().unwrap_err().to_string();
                cx.push("error", json!({ "error": error }))?;
                return Ok(Flow::ok(json!("no ref")));
            }
            "bad_push" => {
                let errors = [
                    cx.push("phx_reply", Payload::EMPTY),
                    cx.push("list", json!([1])),
                    cx.broadcast("phx_close", Payload::EMPTY),
                    cx.broadcast("list", json!([1])),
                ];
                let errors = errors.map(|result| result.unwrap_err().to_string());
                return Ok(Flow::ok(json!(errors)));
            }
            "facts" => {
                return Ok(Flow::ok(json!({
                    "topic": cx.topic(), "transport": cx.transport(), "serializer": cx.serializer().name(),
                    "user": cx.socket().user, "data": cx.route_data::<u32>(), "text": cx.route_data::<String>(),
                    "join_ref": format!("{:?}", cx.join_ref()), "ref": format!("{:?}", cx.reference()),
                })));
            }
            "subscribe" => cx
                .subscribe(topic(), move |broadcast| map(format!("{} {}", broadcast.topic, broadcast.event))),
            "unsubscribe" => cx.unsubscribe(&topic()),
            "wait" => {
                self.probe.log(format!("waiting {}", self.topic));
                self.probe.wait().await;
                return Ok(Flow::ok(json!("waited")));
            }
            "note" => self.probe.log(format!("note {}", payload.parse::<String>()?)),
            "stop" => return Ok(Flow::Stop),
            "stop_with" => return Ok(Flow::StopWith(Status::OK, payload)),
            "panic" => panic!("handle_in"),
            _ => return Err(Crash::unhandled(event)),
        }
        Ok(Flow::Continue)
    }

    async fn inform<C: Channel<Socket = TestSocket, Info = Info>>(
        &self,
        info: Info,
        cx: &Context<C>,
    ) -> Result<Flow, Crash> {
        match info {
            Info::Push(text) => cx.push("info", json!({ "text": text }))?,
            Info::Crash => return Err(Crash::new("handle_info")),
            Info::Panic => panic!("handle_info"),
            Info::Stop => return Ok(Flow::Stop),
            Info::Wait => self.probe.wait().await,
            Info::Reply => {
                let error = cx.reply(Status::OK, Payload::EMPTY).unwrap_err().to_string();
                cx.push("info", json!({ "text": error }))?;
                return Ok(Flow::reply(Status::OK));
            }
            Info::Disconnect => {
                let id = cx.socket().id().unwrap();
                cx.pubsub().broadcast(id, "disconnect", Payload::EMPTY)?;
            }
            Info::Again => cx.handle().send(Info::Again)?,
            Info::Drain => cx.handle().drain()?,
        }
        Ok(Flow::Continue)
    }

    async fn last<C: Channel<Socket = TestSocket>>(&self, end: End, cx: &Context<C>) {
        let _ = cx.push("bye", Payload::EMPTY);
        self.probe.log(format!("terminate {} {end}", self.topic));
        match self.terminate.as_deref() {
            Some("panic") => panic!("terminate"),
            Some("wait") => self.probe.wait().await,
            _ => {}
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.probe.log(format!("dropped {}", self.topic));
        assert!(!self.panics_in_drop || std::thread::panicking(), "drop");
    }
}

macro_rules! room_channel {
    ($channel:ty, $self:ident, $room:expr, $make:expr, { $($items:tt)* }) => {
        impl Channel for $channel {
            type Socket = TestSocket;
            type Info = Info;

            $($items)*

            async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
                let (room, reply) = Room::accept(&params, cx).await?;
                Ok(($make(room), reply))
            }

            async fn handle_in(
                &mut $self,
                event: &str,
                payload: Payload,
                cx: &mut Context<Self>,
            ) -> Result<Flow, Crash> {
                $room.act(event, payload, cx, Info::Push).await
            }

            async fn handle_info(&mut $self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
                $room.inform(info, cx).await
            }

            async fn terminate(&mut $self, end: End, cx: &mut Context<Self>) {
                $room.last(end, cx).await;
            }
        }
    };
}

/// The same, but it cleans up before it is replaced.
pub(crate) struct Trap(Room);

/// The same, but it sees some broadcasts first.
pub(crate) struct Tap(Room);

room_channel!(Room, self, self, |room| room, {});
room_channel!(Trap, self, self.0, Trap, {
    const TRAP_EXIT: bool = true;
});
room_channel!(Tap, self, self.0, Tap, {
    const INTERCEPTS: &'static [&'static str] = &["tapped"];

    async fn handle_out(&mut self, broadcast: &Broadcast, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        let payload: Value = broadcast.payload.parse()?;
        match payload["out"].as_str() {
            Some("crash") => return Err(Crash::new("handle_out")),
            Some("panic") => panic!("handle_out"),
            Some("stop") => return Ok(Flow::Stop),
            Some("drop") => return Ok(Flow::Continue),
            Some("wait") => self.0.probe.wait().await,
            _ => {}
        }
        cx.push("tapped", json!({ "for": cx.socket().user, "was": payload }))?;
        Ok(Flow::Continue)
    }
});

/// An endpoint with the test socket at `/socket`, over WebSockets and in memory.
pub(crate) fn endpoint() -> Endpoint {
    endpoint_with(SocketOptions::new(), TransportOptions::new("memory"))
}

pub(crate) fn endpoint_with(options: SocketOptions, memory: TransportOptions) -> Endpoint {
    Endpoint::builder().socket::<TestSocket>("/socket", options.transport("memory", memory)).build().unwrap()
}
