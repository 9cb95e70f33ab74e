//! Draining the outputs early or late makes no difference, and no order of inputs can panic.

use std::time::{Duration, Instant};

use phoenix_proto::client::{
    ChannelId, Closed, Command, Config, ConnectionId, Fallback, Socket, SocketEvent, Transmit,
};
use phoenix_proto::{Incoming, Payload};
use proptest::prelude::*;

use super::rig;

#[derive(Debug, Clone)]
enum Input {
    Connect,
    Disconnect,
    Open,
    Closed { code: u16, failed: bool },
    Frame(String),
    Bytes(Vec<u8>),
    Channel { topic: usize },
    Join { channel: usize },
    Push { channel: usize, event: &'static str },
    Leave { channel: usize },
    Ping,
    Time { millis: u64 },
}

const TOPICS: [&str; 3] = ["a", "b", "phoenix"];

fn input() -> impl Strategy<Value = Input> {
    let reference = || {
        prop_oneof![
            Just("null".to_owned()),
            (0..12_u32).prop_map(|n| format!("\"{n}\"")),
            Just("7".to_owned())
        ]
    };
    let event = prop::sample::select(vec!["phx_reply", "phx_close", "phx_error", "say", "heartbeat"]);
    let payload = prop::sample::select(vec![
        "{}",
        r#"{"status":"ok","response":{}}"#,
        r#"{"status":"error","response":null}"#,
        "[]",
    ]);
    let frame = (reference(), reference(), prop::sample::select(TOPICS.to_vec()), event, payload).prop_map(
        |(join_ref, reference, topic, event, payload)| {
            format!(r#"[{join_ref},{reference},"{topic}","{event}",{payload}]"#)
        },
    );
    prop_oneof![
        2 => Just(Input::Connect),
        1 => Just(Input::Disconnect),
        4 => Just(Input::Open),
        1 => (prop::sample::select(vec![1000, 1001, 1006]), any::<bool>())
            .prop_map(|(code, failed)| Input::Closed { code, failed }),
        8 => frame.prop_map(Input::Frame),
        1 => prop::collection::vec(any::<u8>(), 0..24).prop_map(Input::Bytes),
        2 => (0..TOPICS.len()).prop_map(|topic| Input::Channel { topic }),
        4 => (0..6_usize).prop_map(|channel| Input::Join { channel }),
        4 => (0..6_usize, prop::sample::select(vec!["say", "phx_join"]))
            .prop_map(|(channel, event)| Input::Push { channel, event }),
        1 => (0..6_usize).prop_map(|channel| Input::Leave { channel }),
        1 => Just(Input::Ping),
        4 => (0..40_000_u64).prop_map(|millis| Input::Time { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn early_and_late_draining_agree(
        inputs in prop::collection::vec(input(), 0..120), fallback in any::<bool>(),
    ) {
        let start = rig::start();
        let mut early = Run::new(fallback, start);
        let mut late = Run::new(fallback, start);
        for input in inputs {
            early.apply(&input, None);
            early.drain();
            // The facts name connections, which only the drained socket has heard of.
            late.apply(&input, early.before);
        }
        late.drain();
        prop_assert_eq!(early.transmits, late.transmits);
        prop_assert_eq!(early.commands, late.commands);
        prop_assert_eq!(early.events, late.events);
    }
}

struct Run {
    socket: Socket,
    now: Instant,
    channels: Vec<ChannelId>,
    /// The connection of the last command, and the one before the last input.
    connection: Option<ConnectionId>,
    before: Option<ConnectionId>,
    transmits: Vec<Transmit>,
    commands: Vec<Command>,
    events: Vec<SocketEvent>,
}

impl Run {
    fn new(fallback: bool, now: Instant) -> Self {
        let mut config = Config::new("ws://h/socket");
        config.fallback = fallback.then(|| Fallback::after(Duration::from_secs(3)));
        config.push_buffer = 4;
        Self {
            socket: Socket::new(config),
            now,
            channels: Vec::new(),
            connection: None,
            before: None,
            transmits: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
        }
    }

    fn apply(&mut self, input: &Input, connection: Option<ConnectionId>) {
        self.before = self.connection;
        let (socket, now) = (&mut self.socket, self.now);
        let connection = connection.or(self.connection);
        let channel = |index: usize| self.channels.get(index).copied();
        match input {
            Input::Connect => socket.connect(now),
            Input::Disconnect => socket.disconnect(None, "", now),
            Input::Open => connection.into_iter().for_each(|id| socket.handle_open(id, now)),
            Input::Closed { code, failed } => connection.into_iter().for_each(|id| {
                let closed = Closed { failed: *failed, ..Closed::by_frame(Some(*code), "") };
                socket.handle_closed(id, closed, now);
            }),
            Input::Frame(text) => connection.into_iter().for_each(|id| {
                socket.handle_frame(id, Incoming::Text(text.as_str().into()), now);
            }),
            Input::Bytes(bytes) => connection.into_iter().for_each(|id| {
                socket.handle_frame(id, Incoming::Binary(bytes.clone().into()), now);
            }),
            Input::Channel { topic } => {
                self.channels.push(socket.channel(TOPICS[*topic], Payload::EMPTY));
            }
            Input::Join { channel: index } => {
                let _ = channel(*index).map(|id| socket.join(id, None, now));
            }
            Input::Push { channel: index, event } => {
                let _ = channel(*index).map(|id| socket.push(id, *event, Payload::EMPTY, None, now));
            }
            Input::Leave { channel: index } => {
                let _ = channel(*index).and_then(|id| socket.leave(id, None, now));
            }
            Input::Ping => {
                let _ = socket.ping(now);
            }
            Input::Time { millis } => {
                self.now += Duration::from_millis(*millis);
                socket.handle_timeout(self.now);
            }
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.socket.poll_transmit() {
            self.transmits.push(transmit);
        }
        while let Some(command) = self.socket.poll_command() {
            if let Command::Connect { connection, .. } = &command {
                self.connection = Some(*connection);
            }
            self.commands.push(command);
        }
        while let Some(event) = self.socket.poll_event() {
            self.events.push(event);
        }
    }
}
