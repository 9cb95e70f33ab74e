//! The client socket against a small server, over a link that is slow, breaks, hangs and comes back, in virtual
//! time.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use phoenix_proto::Payload;
use phoenix_proto::client::{
    ChannelId, ChannelState, Closed, Command, Config, ConnectionId, ConnectionState, Outgoing, PushId,
    PushOutcome, Socket, SocketEvent,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::rig::start;

const TOPICS: [&str; 3] = ["room:a", "room:b", "deny:c"];

/// What is done to the world, each after some time.
#[derive(Debug, Clone, Copy)]
enum Op {
    Push {
        channel: usize,
        event: &'static str,
    },
    Channel {
        topic: usize,
    },
    Leave {
        channel: usize,
    },
    Broadcast {
        topic: usize,
    },
    /// The link breaks; both sides see it.
    Cut,
    /// The link swallows everything until it is cut or given up.
    Hang,
    /// The next attempts to connect fail.
    Refuse {
        attempts: u32,
    },
    Slow {
        millis: u64,
    },
    Disconnect,
    Connect,
    Wait {
        millis: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let event = prop::sample::select(vec!["echo", "mute", "crash", "slow", "stop"]);
    prop_oneof![
        6 => (0..8_usize, event).prop_map(|(channel, event)| Op::Push { channel, event }),
        3 => (0..TOPICS.len()).prop_map(|topic| Op::Channel { topic }),
        1 => (0..8_usize).prop_map(|channel| Op::Leave { channel }),
        3 => (0..TOPICS.len()).prop_map(|topic| Op::Broadcast { topic }),
        2 => Just(Op::Cut),
        1 => Just(Op::Hang),
        1 => (1..4_u32).prop_map(|attempts| Op::Refuse { attempts }),
        1 => (0..3000_u64).prop_map(|millis| Op::Slow { millis }),
        1 => Just(Op::Disconnect),
        2 => Just(Op::Connect),
        6 => (0..15_000_u64).prop_map(|millis| Op::Wait { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_push_ends_once_and_nothing_is_delivered_twice(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.settle();
    }
}

#[test]
fn a_day_of_breaking_links() {
    let mut world = World::new();
    world.apply(Op::Connect);
    world.apply(Op::Channel { topic: 0 });
    for round in 0..288_u64 {
        world.apply(Op::Push { channel: 0, event: "echo" });
        world.apply(Op::Wait { millis: 290_000 });
        world.apply(if round % 3 == 0 { Op::Hang } else { Op::Cut });
        world.apply(Op::Wait { millis: 10_000 });
    }
    world.settle();
    let outcomes: Vec<_> = world.outcomes.values().collect();
    assert_eq!(outcomes.len(), 288);
    let replied = outcomes.iter().filter(|outcome| matches!(outcome, PushOutcome::Replied(_))).count();
    assert!(replied > 180, "only {replied} of 288 answered");
}

/// Client, link and server.
struct World {
    socket: Socket,
    now: Instant,
    server: Server,
    /// What is on its way: arrival, order, and what it is.
    link: BinaryHeap<std::cmp::Reverse<(Instant, u64, Parcel)>>,
    parcels: u64,
    delay: Duration,
    refusals: u32,
    hanging: Option<ConnectionId>,
    connection: Option<ConnectionId>,
    channels: Vec<ChannelId>,
    pushes: BTreeMap<PushId, u64>,
    outcomes: BTreeMap<PushId, PushOutcome>,
    delivered: BTreeMap<(ChannelId, u64), u32>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Parcel {
    Open(ConnectionId),
    Refused(ConnectionId),
    ToServer(ConnectionId, String),
    ToClient(ConnectionId, String),
    CloseToServer(ConnectionId),
    CloseToClient(ConnectionId),
}

/// What a server does to a connection, as far as a client can tell.
#[derive(Default)]
struct Server {
    /// The joined topics of every connection, with their join_refs.
    joined: BTreeMap<ConnectionId, BTreeMap<String, Value>>,
    /// How often each push was handled.
    handled: BTreeMap<u64, u32>,
    broadcasts: u64,
}

impl World {
    fn new() -> Self {
        Self {
            socket: Socket::new(Config::new("ws://h/socket")),
            now: start(),
            server: Server::default(),
            link: BinaryHeap::new(),
            parcels: 0,
            delay: Duration::from_millis(20),
            refusals: 0,
            hanging: None,
            connection: None,
            channels: Vec::new(),
            pushes: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Push { channel, event } => {
                let number = self.pushes.len() as u64;
                let payload = Payload::from(json!({ "number": number }));
                if let Some(channel) = self.channels.get(channel)
                    && let Ok(push) = self.socket.push(*channel, event, payload, None, self.now)
                {
                    assert_eq!(self.pushes.insert(push, number), None);
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
                for (connection, text) in self.server.broadcast(TOPICS[topic]) {
                    self.post(Parcel::ToClient(connection, text));
                }
            }
            Op::Cut => {
                if let Some(connection) = self.connection {
                    self.hanging = None;
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

    /// The link is fine again: in the end everything is in order.
    fn settle(&mut self) {
        self.apply(Op::Cut);
        self.apply(Op::Slow { millis: 5 });
        self.apply(Op::Refuse { attempts: 0 });
        self.apply(Op::Wait { millis: 70_000 });
        self.apply(Op::Connect);
        self.apply(Op::Wait { millis: 300_000 });
        assert_eq!(self.socket.state(), ConnectionState::Open);
        for channel in &self.channels {
            if let Some(topic) = self.socket.topic(*channel) {
                let state = self.socket.channel_state(*channel);
                let denied = topic.starts_with("deny");
                assert!(denied || state == ChannelState::Joined, "{topic} is {state:?}");
            }
        }
        for (push, number) in &self.pushes {
            let outcome = self.outcomes.get(push).expect("every push ends");
            let handled = self.server.handled.get(number).copied().unwrap_or_default();
            assert!(handled <= 1, "push {number} was handled {handled} times");
            if let PushOutcome::Replied(response) = outcome {
                assert_eq!(handled, 1);
                let echoed: Value = response.payload.parse().expect("JSON");
                assert_eq!(echoed["number"], *number, "the reply of another push");
            }
        }
        assert!(self.delivered.values().all(|times| *times == 1), "delivered twice: {:?}", self.delivered);
    }

    /// Lets time pass from one thing that happens to the next.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.drain();
            let arrival = self.link.peek().map(|parcel| parcel.0.0);
            let due = [arrival, self.socket.poll_timeout()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let parcel = self.link.pop().expect("peeked").0.2;
                self.deliver(parcel);
            }
            // Also when nothing is due: that has to be harmless.
            self.socket.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Open(connection) => self.socket.handle_open(connection, self.now),
            Parcel::Refused(connection) => {
                self.socket.handle_closed(connection, Closed::refused(503), self.now);
            }
            Parcel::ToClient(connection, text) => {
                if self.hanging != Some(connection) {
                    self.socket.handle_frame(
                        connection,
                        phoenix_proto::Incoming::Text(text.into()),
                        self.now,
                    );
                }
            }
            Parcel::CloseToClient(connection) => {
                self.socket.handle_closed(connection, Closed::failed(), self.now);
            }
            Parcel::ToServer(connection, text) => {
                if self.hanging != Some(connection) {
                    for answer in self.server.receive(connection, &text) {
                        self.post(Parcel::ToClient(connection, answer));
                    }
                }
            }
            Parcel::CloseToServer(connection) => {
                self.server.joined.remove(&connection);
            }
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.socket.poll_transmit() {
            let Outgoing::Text(text) = transmit.data else { panic!("JSON only") };
            if Some(transmit.connection) == self.connection {
                self.post(Parcel::ToServer(transmit.connection, text.to_string()));
            }
        }
        while let Some(command) = self.socket.poll_command() {
            match command {
                Command::Connect { connection, .. } => self.attempt(connection),
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

    fn attempt(&mut self, connection: ConnectionId) {
        self.connection = Some(connection);
        if self.refusals > 0 {
            self.refusals -= 1;
            self.post(Parcel::Refused(connection));
        } else {
            self.server.joined.insert(connection, BTreeMap::new());
            self.post(Parcel::Open(connection));
        }
    }

    fn observe(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::PushEnded { push, outcome } if self.pushes.contains_key(&push) => {
                assert_eq!(self.outcomes.insert(push, outcome), None, "{push:?} ended twice");
            }
            SocketEvent::Message { channel, message, .. } => {
                let payload: Value = message.payload.parse().expect("JSON");
                let number = payload["broadcast"].as_u64().expect("only broadcasts");
                *self.delivered.entry((channel, number)).or_default() += 1;
            }
            SocketEvent::Undecodable(error) => panic!("the server speaks properly: {error}"),
            _ => {}
        }
    }

    fn post(&mut self, parcel: Parcel) {
        self.parcels += 1;
        // In order, even when the link has become faster meanwhile.
        let latest = self.link.iter().map(|parcel| parcel.0.0).max();
        let arrival = latest.map_or(self.now + self.delay, |latest| latest.max(self.now + self.delay));
        self.link.push(std::cmp::Reverse((arrival, self.parcels, parcel)));
    }
}

impl Server {
    fn receive(&mut self, connection: ConnectionId, text: &str) -> Vec<String> {
        let Some(joined) = self.joined.get_mut(&connection) else { return Vec::new() };
        let [join_ref, reference, topic, event, payload]: [Value; 5] = serde_json::from_str(text).unwrap();
        let reply = |join_ref: &Value, status: &str, response: &Value| {
            let body = json!({"response": response, "status": status});
            json!([join_ref, reference, topic, "phx_reply", body]).to_string()
        };
        let name = topic.as_str().unwrap().to_owned();
        let end = |join_ref: &Value, event: &str| json!([join_ref, join_ref, topic, event, {}]).to_string();
        match event.as_str().unwrap() {
            "heartbeat" => vec![reply(&Value::Null, "ok", &json!({}))],
            "phx_join" if name.starts_with("deny") => vec![reply(&join_ref, "error", &json!({}))],
            "phx_join" => {
                let mut answers = vec![reply(&join_ref, "ok", &json!({}))];
                if let Some(old) = joined.insert(name, join_ref) {
                    answers.push(end(&old, "phx_close"));
                }
                answers
            }
            "phx_leave" => {
                let mut answers = vec![reply(&join_ref, "ok", &json!({}))];
                if joined.get(&name) == Some(&join_ref) {
                    joined.remove(&name);
                    answers.push(end(&join_ref, "phx_close"));
                }
                answers
            }
            event => {
                if joined.get(&name) != Some(&join_ref) {
                    return Vec::new();
                }
                *self.handled.entry(payload["number"].as_u64().unwrap()).or_default() += 1;
                match event {
                    "mute" => Vec::new(),
                    "crash" => {
                        joined.remove(&name);
                        vec![end(&join_ref, "phx_error")]
                    }
                    "stop" => {
                        joined.remove(&name);
                        vec![reply(&join_ref, "ok", &payload), end(&join_ref, "phx_close")]
                    }
                    // Twice, of which the client must take the first.
                    _ => vec![reply(&join_ref, "ok", &payload), reply(&join_ref, "error", &json!({}))],
                }
            }
        }
    }

    fn broadcast(&mut self, topic: &str) -> Vec<(ConnectionId, String)> {
        self.broadcasts += 1;
        let text = json!([null, null, topic, "news", {"broadcast": self.broadcasts}]).to_string();
        let subscribed = self.joined.iter().filter(|(_, joined)| joined.contains_key(topic));
        subscribed.map(|(connection, _)| (*connection, text.clone())).collect()
    }
}
