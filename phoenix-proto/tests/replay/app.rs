//! A driver in virtual time: connections, the processes of their channels, and a pub/sub between them.

mod verbs;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use phoenix_proto::server::{ChannelId, CloseReason, Command, Config, Connection, JoinRequest};
use phoenix_proto::{EncodeError, Incoming, Opcode, Payload, Ref, Routes, Serializer, Serializers, Text};

use crate::channels::{self, After, Joined, Mail};
use crate::recording::{Recording, Sent, Time, What};
use crate::transcript::{hex, shortened};

/// What each connection was sent.
pub(crate) type Answers = BTreeMap<u64, Vec<Answer>>;

pub(crate) struct Answer {
    pub(crate) at: Time,
    pub(crate) sent: Sent,
    pub(crate) shown: String,
}

/// Names the process of a channel.
pub(crate) type Pid = u64;

pub(crate) struct App<'a> {
    recording: &'a Recording,
    epoch: Instant,
    now: Time,
    connections: BTreeMap<u64, Peer>,
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
    pub(crate) peer: u64,
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
        Self {
            recording,
            epoch: Instant::now(),
            now: 0,
            connections: BTreeMap::new(),
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
                What::Opened { path, query } => self.open(event.connection, path, query),
                What::Received(incoming) => {
                    self.batch(event.connection, Connection::begin_batch);
                    self.receive(event.connection, incoming);
                    // Frames without an answer in between were read together.
                    while let Some((at, incoming)) = events.peek().and_then(|next| next.received_with(event))
                    {
                        self.now = at;
                        self.receive(event.connection, incoming);
                        events.next();
                    }
                    self.batch(event.connection, Connection::end_batch);
                }
                what => self.other(event.connection, what),
            }
            self.run();
        }
        self.answers
    }

    fn other(&mut self, connection: u64, what: &What) {
        match what {
            What::Bytes => {
                let now = self.instant();
                if let Some(peer) = self.connections.get_mut(&connection) {
                    peer.connection.handle_activity(now);
                }
            }
            // The WebSocket layer closes with these codes, for what this machine never sees.
            What::Left | What::Sent(Sent::Close(1000 | 1002 | 1007..=1009)) => self.disconnect(connection),
            What::Control { action, request } => self.control(action, request),
            What::Sent(_) | What::Opened { .. } | What::Received(_) => {}
        }
    }

    fn open(&mut self, connection: u64, path: &str, query: &str) {
        let parameter = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            values.next_back().map(|value| value.replace("%2B", "+"))
        };
        let mut config = Config::default();
        match path {
            "/maxch/websocket" => config.max_channels = 3,
            "/short/websocket" => config.idle_timeout = Some(Duration::from_millis(1500)),
            _ => {}
        }
        let serializer = Serializers::default()
            .negotiate(parameter("vsn").as_deref())
            .expect("Phoenix accepted the version");
        let machine = Connection::new(config, routes().into(), Arc::clone(&serializer), self.instant());
        let peer = Peer { connection: machine, serializer, user: parameter("user_id") };
        self.connections.insert(connection, peer);
        self.answers.insert(connection, Vec::new());
    }

    fn receive(&mut self, connection: u64, incoming: &Incoming) {
        let now = self.instant();
        if let Some(peer) = self.connections.get_mut(&connection) {
            peer.connection.handle_activity(now);
            peer.connection.handle_incoming(incoming.clone(), now);
        }
        self.run_commands();
    }

    fn batch(&mut self, connection: u64, mark: fn(&mut Connection)) {
        if let Some(peer) = self.connections.get_mut(&connection) {
            mark(&mut peer.connection);
        }
    }

    fn disconnect(&mut self, connection: u64) {
        self.connections.remove(&connection);
        let gone: Vec<_> =
            self.processes.iter().filter(|(_, it)| it.peer == connection).map(|(pid, _)| *pid).collect();
        for pid in gone {
            self.forget(pid);
        }
    }

    /// Lets time pass up to an instant, with everything that is due until then.
    fn advance(&mut self, to: Time) {
        loop {
            let timer = self.timers.keys().next().map(|(at, _)| *at);
            let timeouts = self.connections.values().filter_map(|peer| peer.connection.poll_timeout());
            let timeout = timeouts.map(|(at, _)| tenths(at.duration_since(self.epoch))).min();
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

    /// Executes commands first and mails second until nothing is left to do.
    fn run(&mut self) {
        loop {
            self.run_commands();
            let Some(pid) = self.ready.pop_front() else { break };
            let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.busy) else {
                continue;
            };
            let Some(mail) = process.mailbox.pop_front() else { continue };
            let after = channels::handle(self, pid, mail);
            self.after(pid, after);
        }
        let open: Vec<_> = self.connections.keys().copied().collect();
        for connection in open {
            self.write(connection);
        }
    }

    fn run_commands(&mut self) {
        loop {
            let mut connections = self.connections.iter_mut();
            let command = connections.find_map(|(&id, peer)| Some((id, peer.connection.poll_command()?)));
            let Some((connection, command)) = command else { break };
            self.execute(connection, command);
        }
    }

    fn execute(&mut self, connection: u64, command: Command) {
        match command {
            Command::Join(join) => {
                let JoinRequest { channel, topic, join_ref, payload, .. } = *join;
                let (mailbox, busy) = (VecDeque::new(), false);
                let process = Process { peer: connection, channel, topic, join_ref, payload, mailbox, busy };
                let pid = self.next_number();
                let delay = channels::join_delay(&process);
                self.processes.insert(pid, process);
                match delay {
                    Some(delay) => self.after_delay(delay, pid, Timer::Join),
                    None => self.decide(pid),
                }
            }
            Command::Message { channel, event, reference, payload, .. } => {
                self.mail_to(connection, channel, Mail::Message { event, reference, payload });
            }
            Command::Leave { channel, reference, .. } => {
                self.mail_to(connection, channel, Mail::Leave { reference });
            }
            Command::Kill { channel } => {
                let pid = self.pid(connection, channel);
                if let Some(pid) = pid.filter(|pid| !channels::traps_exits(&self.processes[pid])) {
                    self.end(pid);
                }
            }
            Command::Abandon { channel } => {
                if let Some(pid) = self.pid(connection, channel) {
                    self.forget(pid);
                }
            }
            Command::Close(reason) => {
                self.write(connection);
                let code = u64::from(reason.code().get());
                let answer = Answer { at: self.now, sent: Sent::Close(code), shown: format!("close {code}") };
                self.answers.entry(connection).or_default().push(answer);
                self.disconnect(connection);
            }
        }
    }

    fn decide(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let (peer, channel, topic) = (process.peer, process.channel, process.topic.clone());
        let joined = channels::join(process);
        let now = self.instant();
        let Some(connection) = self.connections.get_mut(&peer).map(|peer| &mut peer.connection) else {
            return;
        };
        match joined {
            Joined::Ok(response, mail) => {
                self.subscriptions.push(Subscription { pid, topic, plain: false });
                connection.accept(channel, response, now);
                for (delay, mail) in mail {
                    self.after_delay(delay, pid, Timer::Mail(mail));
                }
                return;
            }
            Joined::Error(response) => connection.refuse(channel, response, now),
            Joined::Crash => connection.join_crashed(channel, now),
            Joined::Unencodable => connection.close(CloseReason::Unencodable(EncodeError::Custom("a pid"))),
        }
        self.forget(pid);
    }

    fn after(&mut self, pid: Pid, after: After) {
        let Some(process) = self.processes.get(&pid) else { return };
        let (peer, channel) = (process.peer, process.channel);
        match after {
            After::Continue => {}
            After::Sleep(millis) => {
                self.processes.get_mut(&pid).expect("it was there").busy = true;
                self.after_delay(millis, pid, Timer::Wake);
            }
            After::Stop => {
                if let Some(peer) = self.connections.get_mut(&peer) {
                    peer.connection.close_channel(channel);
                }
                channels::terminate(self, pid);
                self.end(pid);
            }
            After::Crash => self.end(pid),
        }
    }

    /// The process is gone, and the machine is told.
    fn end(&mut self, pid: Pid) {
        let now = self.instant();
        if let Some(process) = self.processes.get(&pid) {
            let (peer, channel) = (process.peer, process.channel);
            if let Some(peer) = self.connections.get_mut(&peer) {
                peer.connection.ended(channel, now);
            }
        }
        self.forget(pid);
    }

    fn forget(&mut self, pid: Pid) {
        self.processes.remove(&pid);
        self.subscriptions.retain(|it| it.pid != pid);
    }

    fn write(&mut self, connection: u64) {
        let Some(peer) = self.connections.get_mut(&connection) else { return };
        while let Some(frame) = peer.connection.poll_transmit() {
            let payload = frame.payload();
            let (sent, shown) = match frame.opcode() {
                Opcode::Binary => (Sent::Binary(payload.to_vec()), hex(&payload)),
                Opcode::Text => (
                    Sent::Text(serde_json::from_slice(&payload).expect("frames hold valid JSON")),
                    shortened(std::str::from_utf8(&payload).expect("text frames hold UTF-8")),
                ),
            };
            self.answers.entry(connection).or_default().push(Answer { at: self.now, sent, shown });
        }
    }

    fn mail_to(&mut self, connection: u64, channel: ChannelId, mail: Mail) {
        if let Some(pid) = self.pid(connection, channel) {
            self.mail(pid, mail);
        }
    }

    fn mail(&mut self, pid: Pid, mail: Mail) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.mailbox.push_back(mail);
            self.ready.push_back(pid);
        }
    }

    fn pid(&self, connection: u64, channel: ChannelId) -> Option<Pid> {
        let mut found =
            self.processes.iter().filter(|(_, it)| it.peer == connection && it.channel == channel);
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
