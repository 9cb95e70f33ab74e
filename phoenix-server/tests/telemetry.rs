//! What the log and the observer of an endpoint are told (FEATURES O, A8, B29, B30, D9, D14, I4, P).

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phoenix_server::testing::TestSocket;
use phoenix_server::{
    Channel, ChannelHandledIn, ChannelJoined, ChannelStatus, ConnectInfo, Context, Crash, DrainOptions, End,
    Endpoint, EndpointBuilder, EndpointInit, Flow, InspectError, JoinError, LevelFilter, ParamFilter,
    Payload, Refused, Router, Socket, SocketConnected, SocketDrain, SocketOptions, Status, Telemetry,
    WebSocketOptions,
};
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

struct UserSocket;

impl Socket for UserSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        sleep(Duration::from_secs(1)).await;
        if info.params.text("refuse").is_some() { Err(Refused::new()) } else { Ok(Self) }
    }

    fn id(&self) -> Option<String> {
        Some("users:1".to_owned())
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("room:*").channel::<Room>("phoenix:*").channel::<Quiet>("quiet:*");
    }
}

struct Room;

impl Channel for Room {
    type Socket = UserSocket;
    type Info = ();

    async fn join(params: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        sleep(Duration::from_secs(2)).await;
        match params.parse::<Value>()?["join"].as_str() {
            Some("refuse") => Err(JoinError::refuse(json!({}))),
            Some("crash") => Err(std::fmt::Error.into()),
            _ => Ok((Self, Payload::EMPTY)),
        }
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        sleep(Duration::from_secs(3)).await;
        if event == "crash" { Err(Crash::unhandled(event)) } else { Ok(Flow::reply(Status::OK)) }
    }

    async fn terminate(&mut self, _: End, cx: &mut Context<Self>) {
        if cx.topic() == "room:slow" {
            sleep(Duration::from_secs(2)).await;
        }
    }
}

struct Quiet;

impl Channel for Quiet {
    type Socket = UserSocket;
    type Info = ();
    const LOG_JOIN: LevelFilter = LevelFilter::OFF;
    const LOG_HANDLE_IN: LevelFilter = LevelFilter::WARN;

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Ok(Flow::reply(Status::OK))
    }
}

/// Notes what it hears.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn short(type_name: &str) -> &str {
    type_name.rsplit("::").next().unwrap()
}

impl Telemetry for Notes {
    fn endpoint_init(&self, event: &EndpointInit<'_>) {
        self.add(format!("init {:?}", event.paths));
    }

    fn socket_connected(&self, event: &SocketConnected<'_>) {
        let SocketConnected { socket, transport, serializer, accepted, duration, .. } = event;
        let socket = short(socket);
        let (serializer, params) = (serializer.unwrap_or("-"), event.filtered_params());
        self.add(format!("connected {socket} {transport} {serializer} {accepted} {duration:.0?} {params}"));
        assert_eq!(event.params.text("vsn"), Some("2.0.0"));
    }

    fn channel_joined(&self, event: &ChannelJoined<'_>) {
        let ChannelJoined { channel, topic, accepted, duration, .. } = event;
        let channel = short(channel);
        self.add(format!("joined {channel} {topic} {accepted} {duration:.0?} {}", event.filtered_params()));
    }

    fn channel_handled_in(&self, event: &ChannelHandledIn<'_>) {
        let ChannelHandledIn { topic, event: name, duration, reference, .. } = event;
        self.add(format!("handled {topic} {name} {duration:.0?} {reference:?} {}", event.filtered_payload()));
    }

    fn socket_drain(&self, event: &SocketDrain) {
        let SocketDrain { count, total, round, rounds, interval, .. } = event;
        self.add(format!("drain {count}/{total} {round}/{rounds} {interval:?}"));
    }
}

/// Collects the events of the log up to a level.
struct Log(Level, Notes);

fn log(level: Level) -> (Notes, DefaultGuard) {
    let notes = Notes::default();
    let guard = tracing::subscriber::set_default(Log(level, notes.clone()));
    (notes, guard)
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("phoenix_server") && *metadata.level() <= self.0
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.1.add(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

fn builder(options: SocketOptions) -> EndpointBuilder {
    Endpoint::builder().socket::<UserSocket>("/socket", options)
}

async fn connected(endpoint: &Endpoint) -> TestSocket {
    TestSocket::connect(endpoint, "/socket").await.unwrap().patience(Duration::from_secs(10))
}

#[tokio::test(start_paused = true)]
async fn o1_to_o5_an_observer_hears_of_everything_with_durations() {
    let notes = Notes::default();
    let options = SocketOptions::new().log(LevelFilter::OFF).drainer(DrainOptions::new().batch_size(1));
    let endpoint = builder(options).telemetry(notes.clone()).build().unwrap();
    assert_eq!(notes.take(), [r#"init ["/socket/websocket"]"#]);

    assert!(TestSocket::connect(&endpoint, "/socket?refuse=1&token=x").await.is_err());
    let socket = connected(&endpoint).await;
    let v2 = "Phoenix.Socket.V2.JSONSerializer";
    assert_eq!(
        notes.take(),
        [
            format!(
                r#"connected UserSocket channel_test {v2} false 1s {{"refuse":"1","token":"[FILTERED]","vsn":"2.0.0"}}"#
            ),
            format!(r#"connected UserSocket channel_test {v2} true 1s {{"vsn":"2.0.0"}}"#),
        ]
    );

    socket.join("room:a", json!({"join": "refuse", "password": "x"})).await.unwrap_err();
    socket.join("room:a", json!({"join": "crash"})).await.unwrap_err();
    let (_, room) = socket.join("room:a", json!({})).await.unwrap();
    let reference = room.push("hello", json!({"a": 1, "token": "x"}));
    room.assert_reply(&reference, Status::OK, ()).await;
    let reference = room.push("binary", bytes::Bytes::from_static(b"abc"));
    room.assert_reply(&reference, Status::OK, ()).await;
    room.push("crash", json!({}));
    room.assert_crashed().await;
    assert_eq!(
        notes.take(),
        [
            r#"joined Room room:a false 2s {"join":"refuse","password":"[FILTERED]"}"#,
            "joined Room room:a true 2s {}",
            r#"handled room:a hello 3s Some("4") {"a":1,"token":"[FILTERED]"}"#,
            r#"handled room:a binary 3s Some("5") "3 bytes""#,
        ]
    );

    let _other = connected(&endpoint).await;
    notes.take();
    endpoint.shutdown().await;
    assert_eq!(notes.take(), ["drain 1/2 1/2 2s", "drain 1/2 2/2 2s"]);
}

#[tokio::test(start_paused = true)]
async fn levels_are_those_of_phoenix_and_parameters_are_not_shown() {
    let (notes, _guard) = log(Level::DEBUG);
    let endpoint = builder(SocketOptions::new()).build().unwrap();
    assert!(TestSocket::connect(&endpoint, "/socket?refuse=secret").await.is_err());
    let socket = connected(&endpoint).await;
    let (_, room) = socket.join("room:a", json!({"secret": "x"})).await.unwrap();
    let reference = room.push("hello", json!({"secret": "x"}));
    room.assert_reply(&reference, Status::OK, ()).await;
    socket.join("room:b", json!({"join": "refuse"})).await.unwrap_err();
    socket.join("room:b", json!({"join": "crash"})).await.unwrap_err();
    endpoint.shutdown().await;

    let at = "transport=\"channel_test\" serializer=\"Phoenix.Socket.V2.JSONSerializer\"";
    let lines = notes.take();
    for expected in [
        format!("INFO refused connection {at} duration=1s"),
        format!("INFO connected {at} duration=1s"),
        "INFO joined topic=\"room:a\" duration=2s".to_owned(),
        "DEBUG handled topic=\"room:a\" event=\"hello\" duration=3s".to_owned(),
        "INFO join refused topic=\"room:b\" duration=2s".to_owned(),
        "ERROR join crashed crash=an error occurred when formatting an argument".to_owned(),
        "INFO draining count=1 total=1 round=1 rounds=1".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected:?} is not in {lines:#?}");
    }
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn every_level_can_be_set() {
    let (notes, _guard) = log(Level::DEBUG);
    // D14 wins over A8; the test kit has that of the socket.
    let websocket = WebSocketOptions::new().log(LevelFilter::ERROR).transport_log(LevelFilter::WARN);
    let options = SocketOptions::new().log(LevelFilter::DEBUG).websocket(websocket);
    let options = options.drainer(DrainOptions::new().log(LevelFilter::ERROR));
    let endpoint = builder(options).build().unwrap();
    let request = http::Request::get("/socket/websocket?vsn=2.0.0&token=secret").header("host", "localhost");
    let request = phoenix_server::HttpRequest::new(request.body(()).unwrap().into_parts().0);
    endpoint.handle(request).await;
    let socket = connected(&endpoint).await;
    let (_, quiet) = socket.join("quiet:a", json!({})).await.unwrap();
    let reference = quiet.push("hello", json!({}));
    quiet.assert_reply(&reference, Status::OK, ()).await;
    endpoint.shutdown().await;

    let lines: Vec<_> =
        notes.take().iter().map(|line| line.split(" duration").next().unwrap().to_owned()).collect();
    let v2 = "serializer=\"Phoenix.Socket.V2.JSONSerializer\"";
    assert_eq!(
        lines,
        [
            "WARN request transport=\"websocket\" method=GET path=\"/socket/websocket\"".to_owned(),
            format!("ERROR connected transport=\"websocket\" {v2}"),
            format!("DEBUG connected transport=\"channel_test\" {v2}"),
            "WARN handled topic=\"quiet:a\" event=\"hello\"".to_owned(),
            "ERROR draining count=1 total=1 round=1 rounds=1".to_owned(),
            "INFO closing the connection reason=Draining dropped=0".to_owned(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn o6_and_o8_trace_shows_filtered_parameters_but_nothing_of_the_librarys_own_topics() {
    let (notes, _guard) = log(Level::TRACE);
    let filter = ParamFilter::Keep(vec!["shown".to_owned()]);
    let endpoint = builder(SocketOptions::new()).filter_parameters(filter).build().unwrap();
    let socket = TestSocket::connect(&endpoint, "/socket?a=1&shown=2").await.unwrap();
    let socket = socket.patience(Duration::from_secs(10));
    for topic in ["phoenix:a", "room:a"] {
        let (_, room) = socket.join(topic, json!({"a": 1, "shown": 2})).await.unwrap();
        let reference = room.push("hello", json!({"a": 1, "shown": 2}));
        room.assert_reply(&reference, Status::OK, ()).await;
    }

    let lines = notes.take();
    let filtered = r#"{"a":"[FILTERED]","shown":2}"#;
    for expected in [
        r#"TRACE parameters of the connection params={"a":"[FILTERED]","shown":"2","vsn":"[FILTERED]"}"#
            .to_owned(),
        format!("TRACE parameters of the join topic=\"room:a\" params={filtered}"),
        format!("TRACE payload of the message topic=\"room:a\" event=\"hello\" payload={filtered}"),
    ] {
        assert!(lines.contains(&expected), "{expected:?} is not in {lines:#?}");
    }
    assert!(lines.iter().all(|line| !line.contains("phoenix:a")), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn p1_to_p5_connections_and_their_channels_can_be_looked_at() {
    let endpoint = builder(SocketOptions::new()).build().unwrap();
    assert!(endpoint.sockets().is_empty());
    let socket = connected(&endpoint).await;
    socket.join("room:slow", json!({})).await.unwrap();
    let (_, leaving) = socket.join("quiet:a", json!({})).await.unwrap();

    let sockets = endpoint.sockets();
    assert_eq!(sockets.len(), 1);
    assert_eq!((short(sockets[0].socket), sockets[0].transport), ("UserSocket", "channel_test"));
    assert_eq!(sockets[0].id.as_deref(), Some("users:1"));
    let joined = |topic: &str| (topic.to_owned(), ChannelStatus::Joined);
    let channels = async || {
        let channels = endpoint.sockets()[0].channels().await.unwrap();
        let mut channels: Vec<_> =
            channels.into_iter().map(|channel| (channel.topic.to_string(), channel.status)).collect();
        channels.sort_by(|a, b| a.0.cmp(&b.0));
        channels
    };
    assert_eq!(channels().await, [joined("quiet:a"), joined("room:slow")]);
    leaving.leave();
    leaving.assert_closed().await;
    assert_eq!(channels().await, [joined("room:slow")]);

    // One joins, one leaves.
    let join = tokio::spawn({
        let pending = connected(&endpoint).await;
        async move {
            let joined = pending.join("room:a", json!({})).await;
            (pending, joined)
        }
    });
    tokio::task::yield_now().await;
    let other = endpoint.sockets().into_iter().nth(1).unwrap();
    let channels = other.channels().await.unwrap();
    assert_eq!((channels[0].status, channels[0].join_ref.is_some()), (ChannelStatus::Joining, true));
    let (pending, _joined) = join.await.unwrap();
    pending.close().await;
    assert_eq!(other.channels().await, Err(InspectError::Gone));
    assert_eq!(endpoint.sockets().len(), 1);
}
