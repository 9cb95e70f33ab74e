//! A driver in virtual time: connections, the processes of their channels, and a pub/sub between them.

mod control;
mod longpoll;
mod presences;
mod processes;
mod verbs;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phoenix_proto::longpoll::TextOnly;
use phoenix_proto::server::{ChannelId, Config, Connection};
use phoenix_proto::{Incoming, Opcode, Payload, Ref, Routes, Serializer, Serializers, Text};

use crate::channels::{self, Mail};
use crate::recording::{PeerId, Recording, Sent, Target, Time, What};
use crate::transcript::{hex, shortened};
use longpoll::LongPoll;
use presences::Presences;

/// What each client was sent.
pub(crate) type Answers = BTreeMap<PeerId, Vec<Answer>>;

pub(crate) struct Answer {
    pub(crate) at: Time,
    pub(crate) sent: Sent,
    /// Its text; more lines than one for the answer to a poll.
    pub(crate) shown: String,
}

/// Names the process of a channel.
pub(crate) type Pid = u64;

pub(crate) struct App<'a> {
    recording: &'a Recording,
    epoch: Instant,
    now: Time,
    connections: BTreeMap<PeerId, Peer>,
    /// What sessions have besides their connections, which end before the last polls do.
    sessions: BTreeMap<PeerId, LongPoll>,
    presences: Presences,
    pub(crate) processes: BTreeMap<Pid, Process>,
    subscriptions: Vec<Subscription>,
    /// Whose mailbox is looked at next, once for each mail.
    ready: VecDeque<Pid>,
    /// By time and then in the order of their making.
    timers: BTreeMap<(Time, u64), (Pid, Timer)>,
    counter: u64,
    answers: Answers,
}

struct Peer {
    connection: Connection,
    serializer: Arc<dyn Serializer>,
    user: Option<String>,
}

pub(crate) struct Process {
    pub(crate) peer: PeerId,
    channel: ChannelId,
    pub(crate) topic: Text,
    join_ref: Option<Ref>,
    pub(crate) payload: Payload,
    mailbox: VecDeque<Mail>,
    busy: bool,
}

struct Subscription {
    pid: Pid,
    topic: Text,
    /// Broadcasts go to the process instead of straight to the client.
    plain: bool,
}

enum Timer {
    Join,
    Wake,
    Mail(Mail),
}

impl<'a> App<'a> {
    #[expect(clippy::disallowed_methods, reason = "an instant cannot be made up; the replay only adds to it")]
    pub(crate) fn new(recording: &'a Recording) -> Self {
        let epoch = Instant::now();
        Self {
            recording,
            epoch,
            now: 0,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            presences: Presences::new(epoch),
            processes: BTreeMap::new(),
            subscriptions: Vec::new(),
            ready: VecDeque::new(),
            timers: BTreeMap::new(),
            counter: 0,
            answers: BTreeMap::new(),
        }
    }

    /// Plays the whole recording.
    pub(crate) fn replay(mut self) -> Answers {
        let recording = self.recording;
        let mut events = recording.events.iter().peekable();
        while let Some(event) = events.next() {
            self.advance(event.at);
            match &event.what {
                What::Received(incoming) => {
                    self.batch(event.peer, Connection::begin_batch);
                    self.receive(event.peer, incoming);
                    // Frames without an answer in between were read together.
                    while let Some((at, incoming)) = events.peek().and_then(|next| next.received_with(event))
                    {
                        self.now = at;
                        self.receive(event.peer, incoming);
                        events.next();
                    }
                    self.batch(event.peer, Connection::end_batch);
                }
                What::Posted { .. } => {
                    while let Some(poll) = events.next_if(|next| next.polled_with(event)) {
                        self.now = poll.at;
                        self.other(poll.peer, &poll.what);
                    }
                    self.other(event.peer, &event.what);
                }
                what => self.other(event.peer, what),
            }
            self.run();
        }
        self.answers
    }

    fn other(&mut self, peer: PeerId, what: &What) {
        match what {
            What::Opened { target, request: None } => self.open(peer, target),
            What::Opened { target, request: Some(request) } => {
                self.open_session(peer, *request, peer, target);
            }
            What::Polled { request, target, instead } => self.poll(peer, *request, *instead, target),
            What::Posted { request, format, body } => self.post(peer, *request, *format, body),
            What::GaveUp { request } => self.give_up(peer, *request),
            What::Bytes => {
                let now = self.instant();
                if let Some(peer) = self.connections.get_mut(&peer) {
                    peer.connection.handle_activity(now);
                }
            }
            // The WebSocket layer closes with these codes, for what this machine never sees.
            What::Left | What::Sent(Sent::Close(1000 | 1002 | 1007..=1009)) => self.disconnect(peer),
            What::Control { action, request } => self.control(action, request),
            What::Sent(_) | What::Http { .. } | What::Received(_) => {}
        }
    }

    fn open(&mut self, peer: PeerId, target: &Target) {
        let mut config = Config::default();
        let mut serializer = Serializers::default()
            .negotiate(target.parameter("vsn").as_deref())
            .expect("Phoenix accepted the version");
        if target.path.starts_with("/maxch/") {
            config.max_channels = 3;
        }
        if let PeerId::Session(_) = peer {
            config.idle_timeout = None;
            serializer = Arc::new(TextOnly::new(serializer));
        } else if target.path.starts_with("/short/") {
            config.idle_timeout = Some(Duration::from_millis(1500));
        }
        let connection = Connection::new(config, routes().into(), Arc::clone(&serializer), self.instant());
        let user = target.parameter("user_id");
        self.connections.insert(peer, Peer { connection, serializer, user });
        self.answers.entry(peer).or_default();
    }

    fn receive(&mut self, peer: PeerId, incoming: &Incoming) {
        let now = self.instant();
        if let Some(peer) = self.connections.get_mut(&peer) {
            peer.connection.handle_activity(now);
            peer.connection.handle_incoming(incoming.clone(), now);
        }
        self.run_commands();
    }

    fn batch(&mut self, peer: PeerId, mark: fn(&mut Connection)) {
        if let Some(peer) = self.connections.get_mut(&peer) {
            mark(&mut peer.connection);
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        self.connections.remove(&peer);
        let gone: Vec<_> =
            self.processes.iter().filter(|(_, it)| it.peer == peer).map(|(pid, _)| *pid).collect();
        for pid in gone {
            self.forget(pid);
        }
    }

    /// Lets time pass up to an instant, with everything that is due until then.
    fn advance(&mut self, to: Time) {
        loop {
            let timer = self.timers.keys().next().map(|(at, _)| *at);
            let timeouts = self.connections.values().filter_map(|peer| peer.connection.poll_timeout());
            let timeouts = timeouts.map(|(at, _)| at).chain(self.session_timeouts());
            let timeout = timeouts.map(|at| tenths(at.duration_since(self.epoch))).min();
            let Some(next) = timer.into_iter().chain(timeout).min().filter(|next| *next <= to) else { break };
            self.now = self.now.max(next);
            if timer == Some(next) {
                let (_, (pid, timer)) = self.timers.pop_first().expect("there is one");
                self.fire(pid, timer);
            } else {
                let now = self.instant();
                for peer in self.connections.values_mut() {
                    peer.connection.handle_timeout(now);
                }
                self.time_out_sessions();
            }
            self.run();
        }
        self.now = self.now.max(to);
    }

    fn fire(&mut self, pid: Pid, timer: Timer) {
        match timer {
            Timer::Join => self.decide(pid),
            Timer::Mail(mail) => self.mail(pid, mail),
            Timer::Wake => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.busy = false;
                    let waiting = process.mailbox.len();
                    self.ready.extend(std::iter::repeat_n(pid, waiting));
                }
            }
        }
    }

    fn run(&mut self) {
        self.settle();
        self.answer_polls();
    }

    /// Executes commands first and mails second until nothing is left to do.
    fn settle(&mut self) {
        loop {
            self.run_commands();
            let Some(pid) = self.ready.pop_front() else { break };
            let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.busy) else {
                continue;
            };
            let Some(mail) = process.mailbox.pop_front() else { continue };
            let after = channels::handle(self, pid, mail);
            self.after(pid, after);
            self.publish_presences();
        }
        let open: Vec<_> = self.connections.keys().copied().collect();
        for peer in open {
            self.write(peer);
        }
    }

    fn write(&mut self, peer: PeerId) {
        let Some(Peer { connection, .. }) = self.connections.get_mut(&peer) else { return };
        let frames: Vec<_> = std::iter::from_fn(|| connection.poll_transmit()).collect();
        for frame in frames {
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.push(frame);
                continue;
            }
            let payload = frame.payload();
            let (sent, shown) = match frame.opcode() {
                Opcode::Binary => (Sent::Binary(payload.to_vec()), hex(&payload)),
                Opcode::Ping | Opcode::Pong => panic!("no message: {frame:?}"),
                Opcode::Text => (
                    Sent::Text(serde_json::from_slice(&payload).expect("frames hold valid JSON")),
                    shortened(std::str::from_utf8(&payload).expect("text frames hold UTF-8")),
                ),
            };
            self.tell(peer, sent, shown);
        }
    }

    fn tell(&mut self, peer: PeerId, sent: Sent, shown: String) {
        self.answers.entry(peer).or_default().push(Answer { at: self.now, sent, shown });
    }

    fn mail_to(&mut self, peer: PeerId, channel: ChannelId, mail: Mail) {
        if let Some(pid) = self.pid(peer, channel) {
            self.mail(pid, mail);
        }
    }

    fn mail(&mut self, pid: Pid, mail: Mail) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.mailbox.push_back(mail);
            self.ready.push_back(pid);
        }
    }

    fn pid(&self, peer: PeerId, channel: ChannelId) -> Option<Pid> {
        let mut found = self.processes.iter().filter(|(_, it)| it.peer == peer && it.channel == channel);
        found.next().map(|(pid, _)| *pid)
    }

    fn after_delay(&mut self, millis: u64, pid: Pid, timer: Timer) {
        let number = self.next_number();
        self.timers.insert((self.now + millis * 10, number), (pid, timer));
        if millis == 0 {
            let (_, (pid, timer)) = self.timers.remove_entry(&(self.now, number)).expect("it was just made");
            self.fire(pid, timer);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_micros(self.now * 100)
    }
}

fn tenths(duration: Duration) -> Time {
    Time::try_from(duration.as_micros().div_ceil(100)).expect("recordings are short")
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    for topic in channels::TOPICS {
        routes.add(topic.parse().expect("a valid pattern"));
    }
    routes
}
