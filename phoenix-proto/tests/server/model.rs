//! Any client, any channels, in any order: what has to hold of every transcript.
//!
//! The model knows of an instance only whether its join is undecided, whether it lives, and what it said
//! meanwhile. That is enough to count what the client must have been told in the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use phoenix_proto::server::{ChannelId, CloseReason, Command, Config, Connection};
use phoenix_proto::{Incoming, Message, Payload, Serializer, V1, V2};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::bench::{json, routes, start};

#[derive(Debug, Clone)]
enum Step {
    Join(u8),
    Leave(u8, JoinRef),
    Push(u8, JoinRef),
    Heartbeat,
    Malformed,
    /// Something that the channel of the nth join does, whether it still exists or not.
    Channel(usize, Act),
    Wait(u64),
    BeginBatch,
    EndBatch,
    Close,
}

#[derive(Debug, Clone, Copy)]
enum JoinRef {
    Latest,
    Stale,
    Null,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Accept,
    Refuse,
    Crash,
    Close,
    End,
    Send,
}

fn step() -> impl Strategy<Value = Step> {
    let topic = 0..4u8;
    let join_ref =
        prop_oneof![3 => Just(JoinRef::Latest), 1 => Just(JoinRef::Stale), 1 => Just(JoinRef::Null)];
    let act = prop_oneof![
        4 => Just(Act::Accept),
        1 => Just(Act::Refuse),
        1 => Just(Act::Crash),
        2 => Just(Act::Close),
        3 => Just(Act::End),
        4 => Just(Act::Send),
    ];
    prop_oneof![
        60 => topic.clone().prop_map(Step::Join),
        15 => (topic.clone(), join_ref.clone()).prop_map(|(topic, with)| Step::Leave(topic, with)),
        30 => (topic, join_ref).prop_map(|(topic, with)| Step::Push(topic, with)),
        8 => Just(Step::Heartbeat),
        // Most outcomes are for one of the latest joins, as in life.
        120 => (prop_oneof![4 => 0..4usize, 1 => 0..100usize], act).prop_map(|(back, act)| Step::Channel(back, act)),
        20 => (0..3000u64).prop_map(Step::Wait),
        10 => Just(Step::BeginBatch),
        10 => Just(Step::EndBatch),
        1 => Just(Step::Malformed),
        1 => Just(Step::Close),
    ]
}

/// What the model knows of one instance.
#[derive(Debug)]
struct Instance {
    channel: ChannelId,
    reference: String,
    life: Life,
    killed: bool,
    sent: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Asked,
    Accepted,
    Gone,
}

/// One run of a script, with everything that came out.
struct Run {
    connection: Connection,
    now: Instant,
    spurious_timeouts: bool,
    messages: usize,
    latest: [String; 4],
    joins: Vec<String>,
    instances: Vec<Instance>,
    accepted: Vec<String>,
    frames: Vec<Value>,
    commands: Vec<String>,
}

const MAX_CHANNELS: usize = 3;

impl Run {
    fn new(now: Instant) -> Self {
        let mut config = Config::default();
        config.max_channels = MAX_CHANNELS;
        Self {
            connection: Connection::new(config, routes().into(), Arc::new(V2), now),
            now,
            spurious_timeouts: false,
            messages: 0,
            latest: Default::default(),
            joins: Vec::new(),
            instances: Vec::new(),
            accepted: Vec::new(),
            frames: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Plays a script; `drain` says after which steps the outputs are taken.
    fn play(mut self, script: &[Step], drain: impl Fn(usize) -> bool) -> Self {
        for (index, step) in script.iter().enumerate() {
            if self.spurious_timeouts {
                self.connection.handle_timeout(self.now);
            }
            self.step(step);
            if drain(index) {
                self.drain_commands();
                self.drain_frames();
            }
            assert!(self.connection.topics() <= MAX_CHANNELS);
        }
        self.settle();
        self
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Join(topic) => {
                let reference = self.next_reference();
                self.joins.push(reference.clone());
                self.client(&reference, &reference, topic, "phx_join");
                self.latest[usize::from(topic)] = reference;
            }
            Step::Leave(topic, with) => self.message(topic, with, "phx_leave"),
            Step::Push(topic, with) => self.message(topic, with, "push"),
            Step::Heartbeat => self.incoming("[null,\"h\",\"phoenix\",\"heartbeat\",{}]"),
            Step::Malformed => self.incoming("["),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.connection.handle_timeout(self.now);
            }
            Step::BeginBatch => self.connection.begin_batch(),
            Step::EndBatch => self.connection.end_batch(),
            Step::Close => self.connection.close(CloseReason::Draining),
            Step::Channel(back, act) => {
                self.drain_commands();
                if let Some(last) = self.instances.len().checked_sub(1) {
                    self.act(last - back.min(last), act);
                }
            }
        }
    }

    fn message(&mut self, topic: u8, with: JoinRef, event: &str) {
        let join_ref = match with {
            JoinRef::Latest => self.latest[usize::from(topic)].clone(),
            JoinRef::Stale => "stale".to_owned(),
            JoinRef::Null => String::new(),
        };
        let reference = self.next_reference();
        self.client(&join_ref, &reference, topic, event);
    }

    fn client(&mut self, join_ref: &str, reference: &str, topic: u8, event: &str) {
        let join_ref = Some(join_ref).filter(|text| !text.is_empty());
        self.incoming(
            &serde_json::json!([join_ref, reference, format!("room:{topic}"), event, {}]).to_string(),
        );
    }

    fn incoming(&mut self, text: &str) {
        self.connection.handle_activity(self.now);
        self.connection.handle_incoming(Incoming::Text(text.into()), self.now);
    }

    fn next_reference(&mut self) -> String {
        self.messages += 1;
        format!("r{}", self.messages)
    }

    fn act(&mut self, index: usize, act: Act) {
        let closed = self.connection.is_closed();
        let now = self.now;
        let Instance { channel, reference, life, sent, .. } = &mut self.instances[index];
        let channel = *channel;
        let asked = *life == Life::Asked;
        match act {
            Act::Accept => {
                if asked {
                    *life = Life::Accepted;
                    self.accepted.push(reference.clone());
                }
                self.connection.accept(channel, Payload::EMPTY, now);
            }
            Act::Refuse | Act::Crash => {
                if asked {
                    *life = Life::Gone;
                }
                match act {
                    Act::Refuse => self.connection.refuse(channel, Payload::EMPTY, now),
                    _ => self.connection.join_crashed(channel, now),
                }
            }
            Act::Close => self.connection.close_channel(channel),
            Act::End => {
                *life = Life::Gone;
                self.connection.ended(channel, now);
            }
            Act::Send => {
                let event = format!("{reference} says {}", sent.len());
                let push = Message {
                    join_ref: None,
                    reference: None,
                    topic: "room:x".into(),
                    event: event.as_str().into(),
                    payload: Payload::EMPTY,
                };
                if *life != Life::Gone && !closed {
                    sent.push(event);
                }
                self.connection.send(channel, V2.encode_push(&push).expect("an object is encodable"));
            }
        }
    }

    fn drain_commands(&mut self) {
        while let Some(command) = self.connection.poll_command() {
            self.commands.push(format!("{command:?}"));
            match command {
                Command::Join(join) => {
                    let reference = join
                        .join_ref
                        .expect("every join has one")
                        .to_text()
                        .expect("a string")
                        .as_str()
                        .to_owned();
                    let channel = join.channel;
                    let (life, killed, sent) = (Life::Asked, false, Vec::new());
                    self.instances.push(Instance { channel, reference, life, killed, sent });
                }
                Command::Kill { channel } => self.instance(channel).killed = true,
                Command::Abandon { channel } => self.instance(channel).life = Life::Gone,
                Command::Message { channel, .. } | Command::Leave { channel, .. } => {
                    self.instance(channel);
                }
                Command::Close(_) => {
                    assert!(self.connection.poll_command().is_none(), "the close is the last command");
                    assert!(self.connection.is_closed());
                }
            }
        }
    }

    /// The instance that a command names, which must be known.
    fn instance(&mut self, channel: ChannelId) -> &mut Instance {
        self.instances.iter_mut().find(|it| it.channel == channel).expect("commands name what was joined")
    }

    fn drain_frames(&mut self) {
        while let Some(frame) = self.connection.poll_transmit() {
            self.frames.push(serde_json::from_slice(&frame.payload()).expect("frames hold valid JSON"));
        }
    }

    /// Decides every join and lets every channel end, as a driver would in the end.
    fn settle(&mut self) {
        self.connection.end_batch();
        loop {
            self.drain_commands();
            let open = |wanted: &dyn Fn(&Instance) -> bool| self.instances.iter().position(wanted);
            if let Some(asked) = open(&|it| it.life == Life::Asked) {
                self.act(asked, Act::Accept);
            } else if let Some(killed) = open(&|it| it.killed && it.life != Life::Gone) {
                self.act(killed, Act::End);
            } else if let Some(alive) = open(&|it| it.life != Life::Gone) {
                self.act(alive, Act::End);
            } else {
                break;
            }
        }
        self.drain_frames();
    }

    fn check(&self) {
        let closed = self.connection.is_closed();
        let positions = |test: &dyn Fn(&Value) -> bool| -> Vec<usize> {
            (0..self.frames.len()).filter(|&index| test(&self.frames[index])).collect()
        };
        for join in &self.joins {
            let replies = positions(&|frame| frame[1] == **join && frame[3] == "phx_reply");
            assert!(replies.len() == 1 || closed && replies.is_empty(), "{join}: {} replies", replies.len());
            let ends = positions(&|frame| {
                frame[0] == **join && (frame[3] == "phx_close" || frame[3] == "phx_error")
            });
            let joined = usize::from(self.accepted.contains(join));
            assert!(ends.len() == joined || closed && ends.len() <= joined, "{join}: {} ends", ends.len());
            assert!(ends.iter().all(|end| replies[0] < *end), "{join}: an end before the reply");
        }
        for Instance { reference, sent, .. } in &self.instances {
            let said = format!("{reference} says ");
            let spoken = positions(&|frame| frame[3].as_str().is_some_and(|event| event.starts_with(&said)));
            let events: Vec<_> = spoken.iter().map(|&index| self.frames[index][3].clone()).collect();
            if closed {
                assert!(events.iter().all(|event| sent.iter().any(|sent| event == sent)), "{events:?}");
                assert!(events.len() <= sent.len(), "{reference} repeated itself");
            } else {
                assert_eq!(&events, sent, "{reference} was heard in order and once");
                assert_eq!(self.connection.topics(), 0);
            }
            let reply = positions(&|frame| frame[1] == **reference && frame[3] == "phx_reply");
            assert!(
                spoken.first().is_none_or(|first| reply[0] < *first),
                "{reference} spoke before its reply"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn joins_are_answered_once_and_instances_end_once(script in vec(step(), 0..80)) {
        Run::new(start()).play(&script, |_| true).check();
    }

    #[test]
    fn the_transcript_does_not_depend_on_when_it_is_taken(
        script in vec(step(), 0..60),
        taken in vec(any::<bool>(), 60),
    ) {
        let now = start();
        let always = Run::new(now).play(&script, |_| true);
        let sometimes = Run::new(now).play(&script, |index| taken[index]);
        let late = Run::new(now).play(&script, |_| false);
        for other in [sometimes, late] {
            prop_assert_eq!(&other.frames, &always.frames);
            prop_assert_eq!(&other.commands, &always.commands);
        }
    }

    #[test]
    fn spurious_timeouts_change_nothing(script in vec(step(), 0..60)) {
        let now = start();
        let plain = Run::new(now).play(&script, |_| true);
        let mut nervous = Run::new(now);
        nervous.spurious_timeouts = true;
        let nervous = nervous.play(&script, |_| true);
        prop_assert_eq!(&nervous.frames, &plain.frames);
        prop_assert_eq!(&nervous.commands, &plain.commands);
    }

    #[test]
    fn no_bytes_panic(
        version_1 in any::<bool>(),
        units in vec(prop_oneof![any::<String>().prop_map(text), near_json().prop_map(text), near_binary()], 0..20),
    ) {
        let serializer: Arc<dyn Serializer> = if version_1 { Arc::new(V1) } else { Arc::new(V2) };
        let now = start();
        let mut connection = Connection::new(Config::default(), routes().into(), serializer, now);
        for unit in units {
            connection.handle_incoming(unit, now);
            while let Some(command) = connection.poll_command() {
                match command {
                    Command::Join(join) => connection.accept(join.channel, json("[]"), now),
                    Command::Kill { channel } | Command::Leave { channel, .. } => connection.ended(channel, now),
                    Command::Message { .. } | Command::Abandon { .. } => {}
                    Command::Close(reason) => prop_assert_eq!(reason.code().get(), 1011),
                }
            }
        }
    }
}

fn text(text: String) -> Incoming {
    Incoming::Text(text.into())
}

/// Text that is a message, or nearly one.
fn near_json() -> impl Strategy<Value = String> {
    let value = "(null|[0-9]{1,3}|\"r\"|\"room:1\"|\"phx_join\"|\"phx_leave\"|\"\\\\u00e9\"|\\{\\}|\\[\\]|[\\[\\]{},:\"x])";
    let array = vec(value, 4..7).prop_map(|values| format!("[{}]", values.join(",")));
    let joins = "\\[(null|\"1\"),(\"1\"|2),\"room:[12]\",\"(phx_join|phx_leave|echo)\",(\\{\\}|null|\")\\]";
    prop_oneof![array, joins]
}

/// A binary message, or nearly one.
fn near_binary() -> impl Strategy<Value = Incoming> {
    let header = vec(0..8u8, 0..5).prop_map(|lengths| [vec![0], lengths].concat());
    (
        prop_oneof![9 => header, 1 => vec(any::<u8>(), 0..6)],
        prop_oneof!["11room:[12]phx_(join|leave)[a-z]*", "\\PC{0,20}"],
        vec(any::<u8>(), 0..8),
    )
        .prop_map(|(header, fields, data)| {
            Incoming::Binary(Bytes::from([header, fields.into_bytes(), data].concat()))
        })
}
