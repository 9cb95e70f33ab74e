use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use phoenix_proto::server::{
    ChannelId, CloseReason, Command, Config, Connection, Credit, JoinRequest, Notice, Timer,
};
use phoenix_proto::{
    Broadcast, Incoming, Json, Message, Opcode, Payload, Ref, Reply, Routes, Serializer, Status, V1, V2,
};
use serde_json::Value;

/// A connection together with the channels that its commands name.
///
/// Channels are called by the number of their join command: the first one is 1. Whatever the machine puts
/// out has to be expected: a dialogue that ends with frames or commands nobody asked for fails.
pub(crate) struct Bench {
    pub(crate) connection: Connection,
    serializer: Arc<dyn Serializer>,
    now: Instant,
    joins: Vec<JoinRequest>,
    pub(crate) credits: Vec<Credit>,
}

impl Bench {
    pub(crate) fn v1() -> Self {
        Self::new(Config::default(), Arc::new(V1))
    }

    pub(crate) fn v2() -> Self {
        Self::new(Config::default(), Arc::new(V2))
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::new(config, Arc::new(V2))
    }

    pub(crate) fn new(config: Config, serializer: Arc<dyn Serializer>) -> Self {
        let now = start();
        let connection = Connection::new(config, routes().into(), Arc::clone(&serializer), now);
        Self { connection, serializer, now, joins: Vec::new(), credits: Vec::new() }
    }

    /// A V2 connection that has joined `room:1` with join_ref `"1"`, as channel 1.
    pub(crate) fn joined() -> Self {
        Self::v2().join_room()
    }

    /// Joins `room:1` with join_ref `"1"`, as channel 1.
    pub(crate) fn join_room(mut self) -> Self {
        self.client(r#"["1","1","room:1","phx_join",{}]"#);
        self.commands([r#"join 1: room:1 "1" {}"#]);
        self.accept(1);
        self.expect([r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#]);
        self
    }

    // The client.

    pub(crate) fn client(&mut self, text: &str) {
        self.connection.handle_incoming(Incoming::Text(text.into()), self.now);
    }

    pub(crate) fn client_binary(&mut self, data: &[u8]) {
        self.connection.handle_incoming(Incoming::Binary(Bytes::copy_from_slice(data)), self.now);
    }

    pub(crate) fn begin_batch(&mut self) {
        self.connection.begin_batch();
    }

    pub(crate) fn end_batch(&mut self) {
        self.connection.end_batch();
    }

    /// Bytes that are no whole frame yet.
    pub(crate) fn client_bytes(&mut self) {
        self.connection.handle_activity(self.now);
    }

    // The channels.

    pub(crate) fn accept(&mut self, channel: usize) {
        self.connection.accept(self.id(channel), Payload::EMPTY, self.now);
    }

    pub(crate) fn accept_with(&mut self, channel: usize, response: impl Into<Payload>) {
        self.connection.accept(self.id(channel), response.into(), self.now);
    }

    pub(crate) fn refuse(&mut self, channel: usize, response: &str) {
        self.connection.refuse(self.id(channel), json(response), self.now);
    }

    pub(crate) fn join_crashed(&mut self, channel: usize) {
        self.connection.join_crashed(self.id(channel), self.now);
    }

    pub(crate) fn reply(&mut self, channel: usize, reference: &str, response: &str) {
        let JoinRequest { topic, join_ref, .. } = self.joins[channel - 1].clone();
        let reply = Reply {
            join_ref,
            reference: Some(Ref::string(reference)),
            topic: topic.into(),
            status: Status::OK,
            payload: json(response),
        };
        self.connection.send(self.id(channel), self.serializer.encode_reply(&reply).unwrap());
    }

    pub(crate) fn push(&mut self, channel: usize, event: &str) {
        let JoinRequest { topic, join_ref, .. } = self.joins[channel - 1].clone();
        let push = Message {
            join_ref,
            reference: None,
            topic: topic.into(),
            event: event.into(),
            payload: Payload::EMPTY,
        };
        self.connection.send(self.id(channel), self.serializer.encode_push(&push).unwrap());
    }

    pub(crate) fn broadcast(&mut self, channel: usize, event: &str) {
        let topic = self.joins[channel - 1].topic.clone();
        let broadcast = Broadcast { topic, event: event.into(), payload: Payload::EMPTY };
        self.connection.send(self.id(channel), self.serializer.encode_broadcast(&broadcast).unwrap());
    }

    pub(crate) fn close_channel(&mut self, channel: usize) {
        self.connection.close_channel(self.id(channel));
    }

    pub(crate) fn ended(&mut self, channel: usize) {
        self.connection.ended(self.id(channel), self.now);
    }

    pub(crate) fn id(&self, channel: usize) -> ChannelId {
        self.joins[channel - 1].channel
    }

    pub(crate) fn join_request(&self, channel: usize) -> &JoinRequest {
        &self.joins[channel - 1]
    }

    // The server and the clock.

    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.connection.close(reason);
    }

    /// Lets time pass; the machine is told.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.connection.handle_timeout(self.now);
    }

    /// In how many milliseconds the machine wants to be called back, and why.
    pub(crate) fn timeout(&self) -> Option<(u128, Timer)> {
        let (deadline, timer) = self.connection.poll_timeout()?;
        Some((deadline.duration_since(self.now).as_millis(), timer))
    }

    // What comes out.

    /// Exactly these frames are to be written; `hex:…` for a binary one.
    #[track_caller]
    pub(crate) fn expect<const N: usize>(&mut self, frames: [&str; N]) {
        let mut written: Vec<Value> = Vec::new();
        while let Some(frame) = self.connection.poll_transmit() {
            written.push(match frame.opcode() {
                Opcode::Text => serde_json::from_slice(&frame.payload()).expect("frames hold valid JSON"),
                Opcode::Binary => hex(&frame.payload()).into(),
                other => panic!("no message: {other:?}"),
            });
        }
        let expected = frames.map(|frame| match frame.strip_prefix("hex:") {
            Some(_) => frame.into(),
            None => serde_json::from_str::<Value>(frame).expect("tests expect valid JSON"),
        });
        assert_eq!(written, expected);
    }

    /// Exactly these commands are to be executed.
    #[track_caller]
    pub(crate) fn commands<const N: usize>(&mut self, expected: [&str; N]) {
        let mut commands = Vec::new();
        while let Some(command) = self.connection.poll_command() {
            commands.push(self.describe(command));
        }
        assert_eq!(commands, expected);
    }

    /// Exactly these notices were given.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "it reads like the other expectations")]
    pub(crate) fn notices<const N: usize>(&mut self, expected: [Notice; N]) {
        let notices: Vec<_> = std::iter::from_fn(|| self.connection.poll_event()).collect();
        assert_eq!(notices, expected);
    }

    fn describe(&mut self, command: Command) -> String {
        let number = |bench: &Self, id: ChannelId| {
            let found = bench.joins.iter().position(|join| join.channel == id);
            found.expect("commands name channels that were joined") + 1
        };
        let reference = |reference: Option<Ref>| reference.as_ref().map_or("null", Ref::as_json).to_owned();
        match command {
            Command::Join(join) => {
                let (topic, join_ref) = (join.topic.clone(), reference(join.join_ref.clone()));
                let payload = show(&join.payload);
                self.joins.push(*join);
                format!("join {}: {topic} {join_ref} {payload}", self.joins.len())
            }
            Command::Message { channel, event, reference: with, payload, credit } => {
                self.credits.push(credit);
                let (channel, with) = (number(self, channel), reference(with));
                format!("message {channel}: {event:?} {with} {}", show(&payload))
            }
            Command::Leave { channel, reference: with, credit } => {
                self.credits.push(credit);
                format!("leave {}: {}", number(self, channel), reference(with))
            }
            Command::Kill { channel } => format!("kill {}", number(self, channel)),
            Command::Abandon { channel } => format!("abandon {}", number(self, channel)),
            Command::Close(reason) => format!("close {}", reason.code()),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.commands([]);
            self.expect([]);
        }
    }
}

/// Where the virtual time of a test begins.
#[expect(clippy::disallowed_methods, reason = "an instant cannot be made up; tests only add to it")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn json(text: &str) -> Payload {
    Json::from_text(&text.into()).expect("tests write valid JSON").into()
}

pub(crate) fn routes() -> Routes {
    let mut routes = Routes::default();
    for pattern in ["room:*", "exact"] {
        routes.add(pattern.parse().expect("a valid pattern"));
    }
    routes
}

fn show(payload: &Payload) -> String {
    match payload {
        Payload::Json(json) => json.to_string(),
        Payload::Binary(data) => hex(data),
    }
}

fn hex(data: &Bytes) -> String {
    format!("hex:{data:x}")
}
