//! Any inputs in any order, with any bytes from the server: the client socket never panics, every push ends at
//! most once, and once time has passed exactly once.

#![no_main]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use phoenix_proto::client::{
    ChannelId, Closed, Command, Config, ConnectionId, Fallback, PushId, Socket, SocketEvent,
};
use phoenix_proto::{Incoming, Payload, V1};

#[derive(Debug, Arbitrary)]
struct Session {
    v1: bool,
    fallback: bool,
    inputs: Vec<Input>,
}

#[derive(Debug, Arbitrary)]
enum Input {
    Connect,
    Disconnect {
        code: Option<u16>,
        reason: String,
    },
    Open,
    Closed {
        code: u16,
        failed: bool,
    },
    Text(String),
    Binary(Vec<u8>),
    /// A message in the right shape, so that more than the decoder is reached.
    Message {
        join_ref: u8,
        reference: u8,
        topic: u8,
        event: u8,
        ok: bool,
    },
    Channel {
        topic: u8,
    },
    Join {
        channel: u8,
        timeout: Option<u16>,
    },
    Push {
        channel: u8,
        event: String,
        binary: bool,
    },
    Leave {
        channel: u8,
    },
    Ping,
    Time {
        millis: u32,
    },
}

fuzz_target!(|session: Session| {
    let mut config = Config::new("ws://h/socket");
    if session.v1 {
        config.serializer = Arc::new(V1);
    }
    config.fallback = session.fallback.then(|| Fallback::after(Duration::from_secs(2)));
    config.push_buffer = 8;
    let mut run = Run {
        socket: Socket::new(config),
        now: Instant::now(),
        v1: session.v1,
        connection: None,
        channels: Vec::new(),
        pushes: HashMap::new(),
    };
    for input in session.inputs {
        run.apply(input);
        run.drain();
    }
    run.now += Duration::from_secs(3600);
    run.socket.handle_timeout(run.now);
    run.drain();
    assert!(run.pushes.values().all(|ends| *ends == 1));
});

struct Run {
    socket: Socket,
    now: Instant,
    v1: bool,
    connection: Option<ConnectionId>,
    channels: Vec<ChannelId>,
    /// How often each push has ended.
    pushes: HashMap<PushId, u32>,
}

impl Run {
    fn apply(&mut self, input: Input) {
        let now = self.now;
        let socket = &mut self.socket;
        let channel = |index: u8| self.channels.get(usize::from(index % 8)).copied();
        match input {
            Input::Connect => socket.connect(now),
            Input::Disconnect { code, reason } => socket.disconnect(code, reason, now),
            Input::Open => self.connection.into_iter().for_each(|id| socket.handle_open(id, now)),
            Input::Closed { code, failed } => self.connection.into_iter().for_each(|id| {
                socket.handle_closed(id, Closed { failed, ..Closed::by_frame(Some(code), "") }, now);
            }),
            Input::Text(text) => self.receive(Incoming::Text(text.into())),
            Input::Binary(data) => self.receive(Incoming::Binary(data.into())),
            Input::Message { join_ref, reference, topic, event, ok } => {
                let text = self.message(join_ref, reference, topic, event, ok);
                self.receive(Incoming::Text(text.into()));
            }
            Input::Channel { topic } => {
                self.channels.push(socket.channel(format!("t{}", topic % 3), Payload::EMPTY));
            }
            Input::Join { channel: index, timeout } => {
                let timeout = timeout.map(|millis| Duration::from_millis(millis.into()));
                let _ = channel(index).map(|id| socket.join(id, timeout, now));
            }
            Input::Push { channel: index, event, binary } => {
                let payload = if binary { Payload::Binary(Vec::new().into()) } else { Payload::EMPTY };
                let pushed = channel(index).map(|id| socket.push(id, event, payload, None, now));
                if let Some(Ok(push)) = pushed {
                    assert_eq!(self.pushes.insert(push, 0), None);
                }
            }
            Input::Leave { channel: index } => {
                let left = channel(index).and_then(|id| socket.leave(id, None, now));
                self.pushes.extend(left.map(|push| (push, 0)));
            }
            Input::Ping => {
                let _ = socket.ping(now);
            }
            Input::Time { millis } => {
                self.now += Duration::from_millis(millis.into());
                socket.handle_timeout(self.now);
            }
        }
    }

    fn receive(&mut self, incoming: Incoming) {
        if let Some(connection) = self.connection {
            self.socket.handle_frame(connection, incoming, self.now);
        }
    }

    fn message(&self, join_ref: u8, reference: u8, topic: u8, event: u8, ok: bool) -> String {
        let event = ["phx_reply", "phx_error", "phx_close", "say"][usize::from(event % 4)];
        let status = if ok { "ok" } else { "error" };
        let payload = format!(r#"{{"status":"{status}","response":{{}}}}"#);
        let topic = topic % 3;
        if self.v1 {
            format!(r#"{{"topic":"t{topic}","event":"{event}","ref":"{reference}","payload":{payload}}}"#)
        } else {
            format!(r#"["{join_ref}","{reference}","t{topic}","{event}",{payload}]"#)
        }
    }

    fn drain(&mut self) {
        while self.socket.poll_transmit().is_some() {}
        while let Some(command) = self.socket.poll_command() {
            if let Command::Connect { connection, .. } = command {
                self.connection = Some(connection);
            }
        }
        while let Some(event) = self.socket.poll_event() {
            if let SocketEvent::PushEnded { push, .. } = event
                && let Some(ends) = self.pushes.get_mut(&push)
            {
                *ends += 1;
                assert_eq!(*ends, 1, "{push:?} ended twice");
            }
        }
    }
}
