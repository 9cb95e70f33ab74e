//! A client socket whose other side is written by hand, in virtual time.

use std::time::{Duration, Instant};

use phoenix_proto::client::{
    ChannelId, Closed, Command, Config, ConnectRequest, ConnectionId, Outgoing, Socket, SocketEvent,
    Transport,
};
use phoenix_proto::{Incoming, Payload};

pub(crate) struct Rig {
    pub(crate) socket: Socket,
    pub(crate) now: Instant,
    /// The connection of the last `Connect`.
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) requests: Vec<(Transport, ConnectRequest)>,
    sent: Vec<String>,
    events: Vec<SocketEvent>,
    /// Closes and aborts.
    closes: Vec<Command>,
}

pub(crate) const ENDPOINT: &str = "ws://h/socket";

pub(crate) fn rig() -> Rig {
    Rig::new(Config::new(ENDPOINT))
}

/// A connected socket with one joined channel.
pub(crate) fn joined(config: Config) -> (Rig, ChannelId) {
    let mut rig = Rig::new(config);
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    let join_ref = rig.join_ref();
    rig.reply(&join_ref, &join_ref, "room", "ok");
    rig.forget();
    (rig, room)
}

impl Rig {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            socket: Socket::new(config),
            now: start(),
            connection: None,
            requests: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            closes: Vec::new(),
        }
    }

    pub(crate) fn connect(&mut self) {
        self.socket.connect(self.now);
        self.drain();
    }

    pub(crate) fn open(&mut self) {
        self.socket.handle_open(self.connection.expect("connecting"), self.now);
        self.drain();
    }

    pub(crate) fn closed(&mut self, closed: Closed) {
        self.socket.handle_closed(self.connection.expect("connected"), closed, self.now);
        self.drain();
    }

    pub(crate) fn channel(&mut self, topic: &str) -> ChannelId {
        self.socket.channel(topic, Payload::EMPTY)
    }

    pub(crate) fn join(&mut self, channel: ChannelId) {
        self.socket.join(channel, None, self.now).expect("not joined yet");
        self.drain();
    }

    pub(crate) fn receive(&mut self, text: &str) {
        self.receive_unit(Incoming::Text(text.into()));
    }

    pub(crate) fn receive_unit(&mut self, incoming: Incoming) {
        self.socket.handle_frame(self.connection.expect("connected"), incoming, self.now);
        self.drain();
    }

    pub(crate) fn reply(&mut self, join_ref: &str, reference: &str, topic: &str, status: &str) {
        self.receive(&format!(
            r#"["{join_ref}","{reference}","{topic}","phx_reply",{{"response":{{}},"status":"{status}"}}]"#
        ));
    }

    /// Lets time pass, with everything that falls due on the way.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.socket.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.socket.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn advance_ms(&mut self, millis: u64) {
        self.advance(Duration::from_millis(millis));
    }

    /// The reference of the last message sent, which is a join.
    pub(crate) fn join_ref(&self) -> String {
        let last = self.sent.last().expect("something was sent");
        let message: Vec<serde_json::Value> = serde_json::from_str(last).expect("an array");
        assert_eq!(message[3], "phx_join");
        message[0].as_str().expect("a join has a reference").to_owned()
    }

    /// What was sent since the last call.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.sent)
    }

    /// What was told since the last call.
    pub(crate) fn events(&mut self) -> Vec<SocketEvent> {
        self.drain();
        std::mem::take(&mut self.events)
    }

    /// The closes and aborts since the last call.
    pub(crate) fn closes(&mut self) -> Vec<Command> {
        self.drain();
        std::mem::take(&mut self.closes)
    }

    pub(crate) fn forget(&mut self) {
        self.sent();
        self.events();
        self.closes();
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.socket.poll_transmit() {
            if Some(transmit.connection) == self.connection {
                self.sent.push(match transmit.data {
                    Outgoing::Text(text) => text.to_string(),
                    Outgoing::Binary(data) => format!("binary {data:?}"),
                });
            }
        }
        while let Some(command) = self.socket.poll_command() {
            match command {
                Command::Connect { connection, transport, request } => {
                    self.connection = Some(connection);
                    self.requests.push((transport, request));
                }
                Command::Close { .. } | Command::Abort { .. } => self.closes.push(command),
            }
        }
        while let Some(event) = self.socket.poll_event() {
            self.events.push(event);
        }
    }
}

/// Where the virtual time of a test begins.
#[expect(clippy::disallowed_methods, reason = "an instant cannot be made up; tests only add to it")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
