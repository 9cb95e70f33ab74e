//! The connections of a server with a few rooms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phoenix_proto::client::ConnectionId;
use phoenix_proto::client::longpoll::RequestId;
use phoenix_proto::server::{ChannelId, Command, Config, Connection};
use phoenix_proto::{
    Broadcast, Frame, Incoming, Opcode, Payload, Ref, Reply, Routes, Serializer, Serializers, Status, Text,
};
use serde_json::json;

use super::long_poll::Polling;

/// What the client is sent.
pub(super) enum Answer {
    Frame(Incoming),
    Close(u16),
    /// The body of an answer to a request of long polling.
    Response(RequestId, String),
}

pub(super) struct Server {
    routes: Arc<Routes>,
    pub(super) peers: BTreeMap<ConnectionId, Peer>,
    /// How often each push was handled.
    pub(super) handled: BTreeMap<u64, u32>,
    broadcasts: u64,
}

pub(super) struct Peer {
    pub(super) connection: Connection,
    serializer: Arc<dyn Serializer>,
    rooms: Vec<Room>,
    /// What is done later, with a number that keeps the order.
    later: BTreeMap<(Instant, u64), Later>,
    laters: u64,
    /// The last push that was handled in each topic.
    last: BTreeMap<Text, u64>,
    has_been_slow: bool,
    /// Between the connection and the client, if that polls.
    pub(super) session: Option<Polling>,
}

struct Room {
    channel: ChannelId,
    topic: Text,
    join_ref: Option<Ref>,
}

enum Later {
    Join(ChannelId),
    Reply(ChannelId, Option<Ref>, Payload),
}

/// Longer than a client waits for an answer.
const LATE: Duration = Duration::from_secs(12);

impl Server {
    pub(super) fn new() -> Self {
        let mut routes = Routes::default();
        for topic in ["room:*", "deny:*", "slow:*"] {
            routes.add(topic.parse().expect("a pattern"));
        }
        Self { routes: routes.into(), peers: BTreeMap::new(), handled: BTreeMap::new(), broadcasts: 0 }
    }

    pub(super) fn open(&mut self, id: ConnectionId, vsn: &str, session: Option<Polling>, now: Instant) {
        let mut config = Config::default();
        if session.is_some() {
            config.idle_timeout = None;
        }
        let serializer = Serializers::default().negotiate(Some(vsn)).expect("a version");
        let peer = Peer {
            connection: Connection::new(config, Arc::clone(&self.routes), Arc::clone(&serializer), now),
            serializer,
            rooms: Vec::new(),
            later: BTreeMap::new(),
            laters: 0,
            last: BTreeMap::new(),
            has_been_slow: false,
            session,
        };
        self.peers.insert(id, peer);
    }

    pub(super) fn closed(&mut self, id: ConnectionId) {
        self.peers.remove(&id);
    }

    pub(super) fn receive(&mut self, id: ConnectionId, incoming: Incoming, now: Instant) -> Vec<Answer> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        peer.connection.handle_activity(now);
        peer.connection.handle_incoming(incoming, now);
        peer.drain(&mut self.handled, now)
    }

    /// Sends to all rooms of a topic; the number of the broadcast, and what that is on the wire.
    pub(super) fn broadcast(
        &mut self,
        topic: &'static str,
        now: Instant,
    ) -> (u64, Vec<(ConnectionId, Answer)>) {
        self.broadcasts += 1;
        let broadcast = Broadcast {
            topic: topic.into(),
            event: "news".into(),
            payload: json!({ "broadcast": self.broadcasts }).into(),
        };
        let mut answers = Vec::new();
        for (id, peer) in &mut self.peers {
            let frame = peer.serializer.encode_broadcast(&broadcast).expect("an object");
            for room in peer.rooms.iter().filter(|room| room.topic == *topic) {
                peer.connection.send(room.channel, frame.clone());
            }
            answers.extend(peer.drain(&mut self.handled, now).into_iter().map(|answer| (*id, answer)));
        }
        (self.broadcasts, answers)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let idle = self.peers.values().filter_map(|peer| Some(peer.connection.poll_timeout()?.0));
        let later = self.peers.values().filter_map(|peer| Some(peer.later.first_key_value()?.0.0));
        let polls = self.peers.values().filter_map(|peer| peer.session.as_ref()?.poll_timeout());
        idle.chain(later).chain(polls).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<(ConnectionId, Answer)> {
        let mut answers = Vec::new();
        for (id, peer) in &mut self.peers {
            peer.connection.handle_timeout(now);
            while let Some(later) = peer.later.first_entry().filter(|later| later.key().0 <= now) {
                match later.remove() {
                    Later::Join(channel) => peer.connection.accept(channel, Payload::EMPTY, now),
                    Later::Reply(channel, reference, payload) => {
                        peer.reply(channel, reference, Status::OK, payload);
                    }
                }
            }
            if let Some(session) = &mut peer.session {
                session.handle_timeout(now);
            }
            answers.extend(peer.drain(&mut self.handled, now).into_iter().map(|answer| (*id, answer)));
        }
        self.peers.retain(|_, peer| peer.session.as_ref().is_none_or(|session| !session.is_over()));
        answers
    }
}

impl Peer {
    /// Carries out what the connection orders, and takes what it sends.
    pub(super) fn drain(&mut self, handled: &mut BTreeMap<u64, u32>, now: Instant) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(command) = self.connection.poll_command() {
            if let Command::Close(reason) = command {
                answers.extend(self.frames());
                answers.push(Answer::Close(reason.code().get()));
                return answers;
            }
            self.execute(command, handled, now);
        }
        answers.extend(self.frames());
        answers
    }

    fn frames(&mut self) -> Vec<Answer> {
        let frames = std::iter::from_fn(|| self.connection.poll_transmit());
        match &mut self.session {
            Some(session) => session.answer(frames),
            None => frames.map(|frame| Answer::Frame(incoming(&frame))).collect(),
        }
    }

    fn execute(&mut self, command: Command, handled: &mut BTreeMap<u64, u32>, now: Instant) {
        match command {
            Command::Join(join) => {
                let channel = join.channel;
                if join.topic.starts_with("deny") {
                    self.connection.refuse(channel, Payload::EMPTY, now);
                    return;
                }
                let is_slow = join.topic.starts_with("slow") && !self.has_been_slow;
                self.rooms.push(Room { channel, topic: join.topic, join_ref: join.join_ref });
                if is_slow {
                    self.has_been_slow = true;
                    self.do_later(Later::Join(channel), now);
                } else {
                    self.connection.accept(channel, Payload::EMPTY, now);
                }
            }
            Command::Message { channel, event, reference, payload, .. } => {
                // What was read together with the message that ended the channel is dropped with it.
                let Some(room) = self.rooms.iter().find(|room| room.channel == channel) else { return };
                let number = number(&payload);
                *handled.entry(number).or_default() += 1;
                let before = self.last.insert(room.topic.clone(), number);
                assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
                match event.as_str() {
                    "mute" => {}
                    "late" => self.do_later(Later::Reply(channel, reference, payload), now),
                    "crash" => self.end(channel, now),
                    "stop" => {
                        self.reply(channel, reference, Status::OK, payload);
                        self.connection.close_channel(channel);
                        self.end(channel, now);
                    }
                    // Twice, of which the client must take the first.
                    _ => {
                        self.reply(channel, reference.clone(), Status::OK, payload);
                        self.reply(channel, reference, Status::ERROR, Payload::EMPTY);
                    }
                }
            }
            Command::Leave { channel, reference, .. } => {
                self.reply(channel, reference, Status::OK, Payload::EMPTY);
                self.connection.close_channel(channel);
                self.end(channel, now);
            }
            Command::Kill { channel } | Command::Abandon { channel } => self.end(channel, now),
            Command::Close(_) => {}
        }
    }

    fn do_later(&mut self, later: Later, now: Instant) {
        self.laters += 1;
        self.later.insert((now + LATE, self.laters), later);
    }

    fn end(&mut self, channel: ChannelId, now: Instant) {
        self.rooms.retain(|room| room.channel != channel);
        self.connection.ended(channel, now);
    }

    fn reply(&mut self, channel: ChannelId, reference: Option<Ref>, status: Status, payload: Payload) {
        let Some(room) = self.rooms.iter().find(|room| room.channel == channel) else { return };
        let topic = room.topic.clone().into();
        let reply = Reply { join_ref: room.join_ref.clone(), reference, topic, status, payload };
        let frame = self.serializer.encode_reply(&reply).expect("what came can go back");
        self.connection.send(channel, frame);
    }
}

/// The number in a payload of this test.
pub(super) fn number(payload: &Payload) -> u64 {
    match payload {
        Payload::Json(_) => payload.parse::<serde_json::Value>().expect("JSON")["number"].as_u64(),
        Payload::Binary(bytes) => <[u8; 8]>::try_from(&bytes[..]).ok().map(u64::from_be_bytes),
    }
    .expect("a number")
}

fn incoming(frame: &Frame) -> Incoming {
    match frame.opcode() {
        Opcode::Text => Incoming::Text(Text::from_utf8(frame.payload()).expect("UTF-8")),
        Opcode::Binary => Incoming::Binary(frame.payload()),
        Opcode::Ping | Opcode::Pong => panic!("no message: {frame:?}"),
    }
}
