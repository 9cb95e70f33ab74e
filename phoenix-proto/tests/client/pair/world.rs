//! Client, link and server, and what has to be true of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phoenix_proto::client::longpoll::{LongPoll, Request, RequestId};
use phoenix_proto::client::{
    ChannelId, ChannelState, Closed, Command, Config, ConnectRequest, ConnectionId, ConnectionState,
    Outgoing, PushId, PushOutcome, Socket, SocketEvent, Transport,
};
use phoenix_proto::{Incoming, Payload, Serializer, Status, V1, V2};
use serde_json::json;

use super::super::rig::start;
use super::server::{Answer, Server, number};
use super::{Op, TOPICS};

pub(super) struct World {
    pub(super) socket: Socket,
    vsn: &'static str,
    pub(super) now: Instant,
    server: Server,
    /// The transport of the connection, if that polls, and its requests without an answer.
    pub(super) long_poll: Option<LongPoll>,
    pub(super) requests: BTreeSet<RequestId>,
    /// What is on its way, by arrival and then in order.
    pub(super) link: BTreeMap<(Instant, u64), Parcel>,
    parcels: u64,
    delay: Duration,
    refusals: u32,
    hanging: Option<ConnectionId>,
    pub(super) connection: Option<ConnectionId>,
    channels: Vec<ChannelId>,
    pushes: BTreeMap<PushId, Push>,
    numbers: u64,
    /// How often each push was sent.
    sent: BTreeMap<u64, u32>,
    /// The last broadcast that each channel was told.
    delivered: BTreeMap<ChannelId, u64>,
}

struct Push {
    number: u64,
    at: Instant,
    ended: Option<(Instant, PushOutcome)>,
}

pub(super) enum Parcel {
    Open(ConnectionId),
    Refused(ConnectionId),
    ToServer(ConnectionId, Incoming),
    ToClient(ConnectionId, Answer),
    CloseToServer(ConnectionId),
    CloseToClient(ConnectionId),
    /// Of long polling: a request, that the client sees it fail, and that the server does.
    Request(ConnectionId, Request),
    Failed(ConnectionId, RequestId),
    Lost(ConnectionId, RequestId),
}

impl World {
    pub(super) fn new(vsn: &'static str, transport: Transport) -> Self {
        let mut config = Config::new("ws://h/socket");
        config.transport = transport;
        if vsn == "1.0.0" {
            config.serializer = Arc::new(V1);
        }
        Self {
            socket: Socket::new(config),
            vsn,
            now: start(),
            server: Server::new(),
            long_poll: None,
            requests: BTreeSet::new(),
            link: BTreeMap::new(),
            parcels: 0,
            delay: Duration::from_millis(20),
            refusals: 0,
            hanging: None,
            connection: None,
            channels: Vec::new(),
            pushes: BTreeMap::new(),
            numbers: 0,
            sent: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Push { channel, event, binary } => {
                if let Some(channel) = self.channels.get(channel) {
                    self.push(*channel, event, binary);
                }
            }
            Op::Channel { topic } => {
                let channel = self.socket.channel(TOPICS[topic], Payload::EMPTY);
                self.socket.join(channel, None, self.now).expect("a new channel");
                self.channels.push(channel);
            }
            Op::Leave { channel } => {
                if let Some(channel) = self.channels.get(channel) {
                    self.socket.leave(*channel, None, self.now);
                }
            }
            Op::Broadcast { topic } => {
                self.broadcast(TOPICS[topic]);
            }
            Op::Cut => {
                if let Some(connection) = self.connection {
                    self.hanging = None;
                    if self.is_polling() {
                        return self.cut_requests();
                    }
                    self.post(Parcel::CloseToServer(connection));
                    self.post(Parcel::CloseToClient(connection));
                }
            }
            Op::Hang => self.hanging = self.connection,
            Op::Refuse { attempts } => self.refusals = attempts,
            Op::Slow { millis } => self.delay = Duration::from_millis(millis),
            Op::Disconnect => self.socket.disconnect(None, "", self.now),
            Op::Connect => self.socket.connect(self.now),
            Op::Wait { millis } => self.run(Duration::from_millis(millis)),
        }
        self.drain();
    }

    /// The link is fine again: in the end everything is in order, and was all the time.
    pub(super) fn settle(&mut self) {
        self.apply(Op::Cut);
        self.apply(Op::Slow { millis: 5 });
        self.apply(Op::Refuse { attempts: 0 });
        self.apply(Op::Wait { millis: 70_000 });
        self.apply(Op::Connect);
        self.apply(Op::Wait { millis: 300_000 });
        assert_eq!(self.socket.state(), ConnectionState::Open);
        self.check_that_joined_channels_work();
        for push in self.pushes.values() {
            self.check_push(push);
        }
    }

    pub(super) fn outcomes(&self) -> Vec<&PushOutcome> {
        self.pushes.values().filter_map(|push| Some(&push.ended.as_ref()?.1)).collect()
    }

    /// Whatever happened before, nothing is lost now.
    fn check_that_joined_channels_work(&mut self) {
        let (mut pushes, mut told) = (Vec::new(), Vec::new());
        for channel in self.channels.clone() {
            let Some(topic) = self.socket.topic(channel).map(ToString::to_string) else { continue };
            if topic.starts_with("deny") {
                continue;
            }
            assert_eq!(self.socket.channel_state(channel), ChannelState::Joined, "{topic}");
            pushes.push(self.push(channel, "echo", false).expect("a joined channel takes it"));
            let topic = TOPICS.into_iter().find(|known| **known == *topic).expect("one of ours");
            told.push((channel, self.broadcast(topic)));
        }
        self.run(Duration::from_secs(1));
        for push in pushes {
            let ended = self.pushes[&push].ended.as_ref();
            assert!(matches!(ended, Some((_, PushOutcome::Replied(_)))), "{ended:?}");
        }
        for (channel, broadcast) in told {
            assert_eq!(self.delivered.get(&channel), Some(&broadcast));
        }
    }

    /// What phoenix.js guarantees of a push, and what this socket tells of it besides.
    fn check_push(&self, push: &Push) {
        let (ended, outcome) = push.ended.as_ref().expect("every push ends");
        let sent = self.sent.get(&push.number).copied().unwrap_or_default();
        let handled = self.server.handled.get(&push.number).copied().unwrap_or_default();
        assert!(handled <= sent && sent <= 1, "handled {handled} times, sent {sent} times");
        match outcome {
            PushOutcome::Replied(response) => {
                assert_eq!((handled, &response.status), (1, &Status::OK), "the first reply counts");
                assert_eq!(number(&response.payload), push.number, "the reply of another push");
            }
            PushOutcome::TimedOut => assert!(*ended - push.at >= Duration::from_secs(10), "before its time"),
            PushOutcome::ConnectionLost | PushOutcome::ChannelErrored => {
                assert_eq!(sent, 1, "one that was not sent goes out later");
            }
            PushOutcome::ChannelClosed => {}
            other => panic!("nothing is refused or discarded here: {other:?}"),
        }
    }

    fn push(&mut self, channel: ChannelId, event: &'static str, binary: bool) -> Option<PushId> {
        self.numbers += 1;
        let number = self.numbers;
        let payload = if binary {
            if self.vsn == "1.0.0" || self.is_polling() {
                return None;
            }
            Payload::Binary(number.to_be_bytes().to_vec().into())
        } else {
            json!({ "number": number }).into()
        };
        let push = self.socket.push(channel, event, payload, None, self.now).ok()?;
        let known = self.pushes.insert(push, Push { number, at: self.now, ended: None });
        assert!(known.is_none(), "{push:?} was given before");
        Some(push)
    }

    fn broadcast(&mut self, topic: &'static str) -> u64 {
        let (broadcast, answers) = self.server.broadcast(topic, self.now);
        self.post_answers(answers);
        broadcast
    }

    /// Lets time pass from one thing that happens to the next.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.drain();
            let arrival = self.link.first_key_value().map(|((arrival, _), _)| *arrival);
            let polls = self.long_poll.as_ref().and_then(LongPoll::poll_timeout);
            let due = [arrival, polls, self.socket.poll_timeout(), self.server.poll_timeout()];
            let Some(due) = due.into_iter().flatten().min().filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            if arrival.is_some_and(|arrival| arrival <= self.now)
                && let Some((_, parcel)) = self.link.pop_first()
            {
                self.deliver(parcel);
            }
            // Also when nothing is due: that has to be harmless.
            self.socket.handle_timeout(self.now);
            if let Some(long_poll) = &mut self.long_poll {
                long_poll.handle_timeout(self.now);
            }
            let answers = self.server.handle_timeout(self.now);
            self.post_answers(answers);
        }
        self.now = end;
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Open(connection) => self.socket.handle_open(connection, self.now),
            Parcel::Refused(connection) => {
                self.socket.handle_closed(connection, Closed::refused(503), self.now);
            }
            Parcel::ToClient(connection, _) if self.hanging == Some(connection) => {}
            Parcel::ToClient(connection, Answer::Frame(incoming)) => {
                self.socket.handle_frame(connection, incoming, self.now);
            }
            Parcel::ToClient(connection, Answer::Close(code)) => {
                self.socket.handle_closed(connection, Closed::by_frame(Some(code), ""), self.now);
            }
            Parcel::ToClient(connection, Answer::Response(request, body)) => {
                self.respond(connection, request, Some(&body));
            }
            Parcel::CloseToClient(connection) => {
                self.socket.handle_closed(connection, Closed::failed(), self.now);
            }
            Parcel::ToServer(connection, _) if self.hanging == Some(connection) => {}
            Parcel::ToServer(connection, incoming) => {
                let answers = self.server.receive(connection, incoming, self.now);
                self.post_answers(answers.into_iter().map(|answer| (connection, answer)).collect());
            }
            Parcel::CloseToServer(connection) => self.server.closed(connection),
            Parcel::Request(connection, _) if self.hanging == Some(connection) => {}
            Parcel::Request(connection, request) if self.refusals > 0 => {
                self.refusals -= 1;
                let refused = Answer::Response(request.id, r#"{"status":403}"#.to_owned());
                self.post(Parcel::ToClient(connection, refused));
            }
            Parcel::Request(connection, request) => {
                let answers = self.server.request(connection, &request, self.vsn, self.now);
                self.post_answers(answers.into_iter().map(|answer| (connection, answer)).collect());
            }
            Parcel::Failed(connection, request) => self.respond(connection, request, None),
            Parcel::Lost(connection, request) => self.server.request_lost(connection, request),
        }
    }

    fn respond(&mut self, connection: ConnectionId, request: RequestId, body: Option<&str>) {
        self.requests.remove(&request);
        if let Some(long_poll) = self.long_poll.as_mut().filter(|_| self.connection == Some(connection)) {
            long_poll.handle_response(request, body.map(str::as_bytes), self.now);
        }
    }

    fn drain(&mut self) {
        loop {
            self.drain_socket();
            if !self.drain_long_poll() {
                return;
            }
        }
    }

    fn drain_socket(&mut self) {
        while let Some(transmit) = self.socket.poll_transmit() {
            if Some(transmit.connection) != self.connection {
                continue;
            }
            let incoming = match transmit.data.clone() {
                Outgoing::Text(text) => Incoming::Text(text),
                Outgoing::Binary(data) => Incoming::Binary(data),
            };
            self.note_sent(incoming.clone());
            match &mut self.long_poll {
                Some(long_poll) => long_poll.send(transmit.data),
                None => self.post(Parcel::ToServer(transmit.connection, incoming)),
            }
        }
        while let Some(command) = self.socket.poll_command() {
            match command {
                Command::Connect { connection, request, .. } => self.attempt(connection, &request),
                Command::Close { .. } if self.is_polling() => {
                    if let Some(long_poll) = &mut self.long_poll {
                        long_poll.close();
                    }
                }
                Command::Abort { .. } if self.is_polling() => {
                    self.long_poll = None;
                    self.requests.clear();
                }
                Command::Close { connection, .. } => {
                    self.post(Parcel::CloseToServer(connection));
                    if self.hanging != Some(connection) {
                        self.post(Parcel::CloseToClient(connection));
                    }
                }
                Command::Abort { connection } => self.post(Parcel::CloseToServer(connection)),
            }
        }
        while let Some(event) = self.socket.poll_event() {
            self.observe(event);
        }
    }

    fn note_sent(&mut self, incoming: Incoming) {
        let serializer: &dyn Serializer = if self.vsn == "1.0.0" { &V1 } else { &V2 };
        let message = serializer.decode(incoming).expect("a message");
        let name = message.event.as_str();
        if !name.starts_with("phx_") && name != "heartbeat" {
            *self.sent.entry(number(&message.payload)).or_default() += 1;
        }
    }

    fn attempt(&mut self, connection: ConnectionId, request: &ConnectRequest) {
        self.connection = Some(connection);
        if self.is_polling() {
            self.requests.clear();
            let timeout = self.socket.config().long_poll_timeout;
            self.long_poll = Some(LongPoll::new(request, timeout, self.now));
        } else if self.refusals > 0 {
            self.refusals -= 1;
            self.post(Parcel::Refused(connection));
        } else {
            self.server.open(connection, self.vsn, None, self.now);
            self.post(Parcel::Open(connection));
        }
    }

    fn observe(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::PushEnded { push, outcome } => {
                // A leave is none of these pushes.
                if let Some(pushed) = self.pushes.get_mut(&push) {
                    assert!(pushed.ended.is_none(), "{push:?} ended twice");
                    pushed.ended = Some((self.now, outcome));
                }
            }
            SocketEvent::Message { channel, message, .. } => {
                let payload: serde_json::Value = message.payload.parse().expect("JSON");
                let broadcast = payload["broadcast"].as_u64().expect("only broadcasts");
                let before = self.delivered.insert(channel, broadcast);
                assert!(before.is_none_or(|before| before < broadcast), "{broadcast} after {before:?}");
            }
            SocketEvent::Undecodable(error) => panic!("the server speaks properly: {error}"),
            _ => {}
        }
    }

    fn post_answers(&mut self, answers: Vec<(ConnectionId, Answer)>) {
        for (connection, answer) in answers {
            let closes = matches!(answer, Answer::Close(_));
            self.post(Parcel::ToClient(connection, answer));
            if closes {
                self.server.closed(connection);
            }
        }
    }

    pub(super) fn post(&mut self, parcel: Parcel) {
        self.parcels += 1;
        // In order, even when the link has become faster meanwhile.
        let latest = self.link.last_key_value().map_or(self.now, |((latest, _), _)| *latest);
        self.link.insert((latest.max(self.now + self.delay), self.parcels), parcel);
    }
}
