//! Plays one client of a recording on the socket.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use phoenix_proto::client::longpoll::{self, LongPoll, RequestId};
use phoenix_proto::client::{
    ChannelId, ChannelState, ClientSerializer, Closed, Command, Config, ConnectRequest, ConnectionId,
    ConnectionState, Fallback, Outgoing, RefStyle, Socket, SocketEvent, Source, Transport,
};
use phoenix_proto::{Event, Incoming, Json, Message, Payload, Ref, Text, V1, V2};

use super::super::rig::start;
use super::query::{pairs, params, token};
use super::recording::{Line, Recording, decode, message};

pub(crate) struct Player {
    pub(crate) transcript: String,
    pub(crate) differences: Vec<String>,
    socket: Socket,
    now: Instant,
    vsn: String,
    long_poll: Option<LongPoll>,
    connection: Option<ConnectionId>,
    request: Option<(Transport, ConnectRequest)>,
    /// What the socket has sent and the recording has not shown yet.
    frames: VecDeque<Incoming>,
    polls: VecDeque<longpoll::Request>,
    /// The request that was last on a TCP connection.
    pending: BTreeMap<u64, RequestId>,
    channels: BTreeMap<String, Joined>,
    last_ref: u64,
}

/// A channel, with the parameters that its next join is to have.
#[derive(Clone)]
struct Joined {
    id: ChannelId,
    params: Arc<Mutex<Payload>>,
}

impl Player {
    pub(crate) fn play(recording: &Recording, client: &str) -> Self {
        let lines = recording.wire(client);
        let mut player = Self::new(recording, client, &lines);
        for (index, line) in lines.iter().enumerate() {
            let next = lines[index + 1..].iter().find(|next| next.is_from_client());
            player.play_line(line, next);
        }
        player
    }

    fn new(recording: &Recording, client: &str, lines: &[Line]) -> Self {
        let first = lines.iter().find(|line| !line.text("query").is_empty()).expect("a request");
        let (endpoint, transport) = match first.text("path").rsplit_once('/') {
            Some((mount, "websocket")) => (mount, Transport::WebSocket),
            Some((mount, _)) => (mount, Transport::LongPoll),
            None => panic!("a path"),
        };
        let mut params = params(first.text("query"));
        let vsn = params.remove("vsn").and_then(|vsn| vsn.as_str().map(str::to_owned)).expect("vsn");
        let mut config = Config::new(format!("ws://h{endpoint}"));
        config.params = Source::Value(Json::encode(&params).expect("JSON"));
        config.auth_token = Source::Value(token(first));
        let serializer: Arc<dyn ClientSerializer> =
            if vsn.starts_with('1') { Arc::new(V1) } else { Arc::new(V2) };
        config.serializer = serializer;
        let callbacks = recording.uncounted_references();
        config.ref_style = RefStyle::PhoenixJs { callbacks };
        config.transport = transport;
        if recording.name.contains("_fallback") {
            let mut fallback = Fallback::after(Duration::from_millis(400));
            fallback.memorized = client == "D";
            config.fallback = Some(fallback);
            config.transport = Transport::WebSocket;
        }
        Self {
            transcript: String::new(),
            differences: Vec::new(),
            socket: Socket::new(config),
            now: start(),
            vsn,
            long_poll: None,
            connection: None,
            request: None,
            frames: VecDeque::new(),
            polls: VecDeque::new(),
            pending: BTreeMap::new(),
            channels: BTreeMap::new(),
            last_ref: u64::from(callbacks),
        }
    }

    fn play_line(&mut self, line: &Line, next: Option<&Line>) {
        let connection = self.connection.unwrap_or_else(|| self.first_connection());
        match (line.is_from_client(), line.text("kind")) {
            (true, "open") => self.expect_connect(line, Transport::WebSocket),
            (true, "text" | "binary") => {
                if let Some(frame) = line.frame() {
                    self.expect_frame(&frame, next);
                }
            }
            (true, "request") => self.expect_request(line),
            (true, "close") if self.socket.state() == ConnectionState::Open => {
                self.note("A", "disconnect");
                let code = line.number("code").map(|code| u16::try_from(code).expect("a code"));
                self.socket.disconnect(code, line.text("reason"), self.now);
            }
            (false, "open_response") if line.number("status") == Some(101) => {
                self.socket.handle_open(connection, self.now);
            }
            (false, "open_response") => {
                let status = u16::try_from(line.number("status").expect("a status")).expect("HTTP");
                self.end(connection, Closed::refused(status));
            }
            (false, "text" | "binary") => {
                if let Some(frame) = line.frame() {
                    self.note("S", &shown(&frame));
                    self.socket.handle_frame(connection, frame, self.now);
                }
            }
            (false, "response") => self.answer(line),
            (false, "close") => {
                let code = line.number("code").map(|code| u16::try_from(code).expect("a code"));
                self.end(connection, Closed::by_frame(code, line.text("reason")));
            }
            (false, "tcp_error") => self.end(connection, Closed::failed()),
            _ => {}
        }
        self.drain();
    }

    /// The application connects before anything else.
    fn first_connection(&mut self) -> ConnectionId {
        self.socket.connect(self.now);
        self.drain();
        self.connection.expect("connecting")
    }

    fn end(&mut self, connection: ConnectionId, closed: Closed) {
        self.note("S", &format!("close {}", closed.code));
        self.socket.handle_closed(connection, closed, self.now);
    }

    fn expect_connect(&mut self, line: &Line, transport: Transport) {
        while self.request.as_ref().is_none_or(|(asked, _)| *asked != transport) {
            self.skip_time(|| "a connection".to_owned());
        }
        let (_, request) = self.request.take().expect("just checked");
        self.note("C", &format!("connect {}", request.url));
        let (_, query) = request.url.split_once('?').expect("a query");
        self.compare(&pairs(line.text("query")), &pairs(query));
        self.compare(&token(line), &request.auth_token);
        if let Some(protocols) = line.header("sec-websocket-protocol") {
            let asked = request.subprotocols().map(|protocols| protocols.join(","));
            self.compare(&Some(protocols.replace(", ", ",")), &asked);
        }
    }

    fn expect_frame(&mut self, recorded: &Incoming, next: Option<&Line>) {
        let asked = message(&self.vsn, recorded.clone());
        if self.frames.is_empty() {
            self.ask(&asked, next);
        }
        self.last_ref = number(&asked);
        let Some(sent) = self.frames.pop_front() else {
            self.differences.push(format!("{} was not sent", shown(recorded)));
            return;
        };
        self.note("C", &shown(&sent));
        self.compare(&shown(recorded), &shown(&sent));
    }

    /// Does what made phoenix.js send a message: the application asked for it, or it fell due.
    fn ask(&mut self, asked: &Message, next: Option<&Line>) {
        let topic = asked.topic.as_str().to_owned();
        let channel = self.channels.get(&topic).cloned();
        let state = channel.as_ref().map(|channel| self.socket.channel_state(channel.id));
        let state = state.unwrap_or_default();
        // A leave that was not asked for precedes the join of another channel on the topic, whose making has
        // used up two references.
        let replacing = next
            .and_then(Line::frame)
            .map(|frame| message(&self.vsn, frame))
            .filter(|next| next.event == Event::JOIN && next.topic == asked.topic)
            .filter(|_| number(asked) == self.last_ref + 3);
        if asked.event == Event::JOIN && state == ChannelState::Errored
            || asked.event == Event::LEAVE && state == ChannelState::Joining
            || asked.event == Event::HEARTBEAT
        {
            if let Some(channel) = channel {
                *channel.params.lock().expect("not poisoned") = asked.payload.clone();
            }
            while self.frames.is_empty() {
                self.skip_time(|| format!("{asked:?}"));
            }
        } else if asked.event == Event::JOIN {
            self.join(&topic, asked.payload.clone());
        } else if asked.event == Event::LEAVE
            && let Some(join) = replacing
        {
            self.join(&topic, join.payload);
        } else if asked.event == Event::LEAVE {
            self.note("A", &format!("leave {topic}"));
            self.socket.leave(channel.expect("joined before").id, None, self.now);
        } else {
            self.note("A", &format!("push {topic} {}", asked.event.as_str()));
            let event = asked.event.text().expect("a string").clone();
            let payload = asked.payload.clone();
            let pushed = self.socket.push(channel.expect("joined").id, event, payload, None, self.now);
            if let Err(error) = pushed {
                self.differences.push(format!("{asked:?} was refused: {error}"));
            }
        }
        self.drain();
    }

    fn join(&mut self, topic: &str, params: Payload) {
        self.note("A", &format!("join {topic}"));
        let params = Arc::new(Mutex::new(params));
        let asked = Arc::clone(&params);
        let source = Source::function(move || asked.lock().expect("not poisoned").clone());
        let id = self.socket.channel(topic, source);
        self.channels.insert(topic.to_owned(), Joined { id, params });
        self.socket.join(id, None, self.now).expect("new");
    }

    /// A GET is a poll; the lines of a POST were asked for one by one.
    fn expect_request(&mut self, line: &Line) {
        self.drain();
        if self.long_poll.is_none() {
            while self.request.as_ref().is_none_or(|(transport, _)| *transport != Transport::LongPoll) {
                self.skip_time(|| "long polling".to_owned());
            }
            let (_, request) = self.request.take().expect("just checked");
            let timeout = self.socket.config().long_poll_timeout;
            self.long_poll = Some(LongPoll::new(&request, timeout, self.now));
        }
        if line.text("method") == "POST" {
            let body = line.body();
            let mut lines = Vec::new();
            for part in body.split(|byte| *byte == b'\n') {
                let frame = match part.first() {
                    Some(b'[') => Incoming::Text(Text::from_utf8(body.slice_ref(part)).expect("UTF-8")),
                    _ => Incoming::Binary(decode(part)),
                };
                self.expect_frame(&frame, None);
                lines.push(match frame {
                    Incoming::Text(text) => Outgoing::Text(text),
                    Incoming::Binary(data) => Outgoing::Binary(data),
                });
            }
            // Together, as within one turn of the event loop.
            for line in lines {
                self.long_poll.as_mut().expect("polling").send(line);
            }
        }
        self.drain();
        let method = |request: &longpoll::Request| match request.method {
            longpoll::Method::Get => "GET",
            longpoll::Method::Post => "POST",
        };
        let position = self.polls.iter().position(|request| method(request) == line.text("method"));
        let Some(request) = position.and_then(|position| self.polls.remove(position)) else {
            self.differences.push(format!("no {} was asked for", line.text("method")));
            return;
        };
        self.note("C", &format!("{} {}", method(&request), shown_bytes(&request.body)));
        let (path, query) = request.url.split_once('?').expect("a query");
        self.compare(&pairs(line.text("query")), &pairs(query));
        self.compare(&format!("http://h{}", line.text("path")), &path.to_owned());
        self.compare(&line.body(), &request.body);
        for (name, value) in &request.headers {
            self.compare(&line.header(name).map(str::to_lowercase), &Some(value.to_lowercase()));
        }
        self.pending.insert(line.number("conn").expect("a connection"), request.id);
    }

    fn answer(&mut self, line: &Line) {
        let request = line.number("conn").and_then(|connection| self.pending.remove(&connection));
        let (Some(request), Some(long_poll)) = (request, &mut self.long_poll) else { return };
        long_poll.handle_response(request, Some(&line.body()), self.now);
        let body = String::from_utf8_lossy(&line.body()).into_owned();
        let end = body.find("\"token\"").unwrap_or(body.len());
        self.note("S", &body[..end]);
    }

    /// Lets time pass until something falls due.
    fn skip_time(&mut self, wanted: impl Fn() -> String) {
        let due = self.socket.poll_timeout();
        let due = due.unwrap_or_else(|| panic!("nothing would send {}\n{}", wanted(), self.transcript));
        self.now = self.now.max(due);
        self.socket.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            while let Some(transmit) = self.socket.poll_transmit() {
                self.frames.push_back(match transmit.data {
                    Outgoing::Text(text) => Incoming::Text(text),
                    Outgoing::Binary(data) => Incoming::Binary(data),
                });
            }
            while let Some(command) = self.socket.poll_command() {
                match command {
                    Command::Connect { connection, transport, request } => {
                        self.connection = Some(connection);
                        self.request = Some((transport, request));
                        self.long_poll = None;
                        self.polls.clear();
                    }
                    Command::Close { .. } => {
                        if let Some(long_poll) = &mut self.long_poll {
                            long_poll.close();
                        }
                    }
                    Command::Abort { .. } => {}
                }
            }
            while let Some(event) = self.socket.poll_event() {
                self.tell(&event);
            }
            if !self.drain_long_poll() {
                return;
            }
        }
    }

    /// Whether long polling had anything to tell the socket.
    fn drain_long_poll(&mut self) -> bool {
        let Some(long_poll) = &mut self.long_poll else { return false };
        while let Some(command) = long_poll.poll_command(self.now) {
            if let longpoll::Command::Request(request) = command {
                self.polls.push_back(request);
            }
        }
        let connection = self.connection.expect("connected");
        let Some(event) = long_poll.poll_event() else { return false };
        match event {
            longpoll::Event::Opened => self.socket.handle_open(connection, self.now),
            longpoll::Event::Message(message) => {
                self.socket.handle_frame(connection, message, self.now);
            }
            longpoll::Event::Closed(closed) => {
                self.long_poll = None;
                self.socket.handle_closed(connection, closed, self.now);
            }
        }
        true
    }

    /// What the application is told, in one line.
    fn tell(&mut self, event: &SocketEvent) {
        let text = match event {
            SocketEvent::Message { message, .. } => {
                format!("{} {}", message.topic.as_str(), message.event.as_str())
            }
            SocketEvent::PushEnded { outcome, .. } => format!("push ended: {outcome:?}"),
            other => format!("{other:?}"),
        };
        self.note(" ", &text);
    }

    fn note(&mut self, who: &str, text: &str) {
        let end = text.char_indices().nth(160).map_or(text.len(), |(index, _)| index);
        writeln!(self.transcript, "{who} {}", &text[..end]).expect("a string");
    }

    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, recorded: &T, sent: &T) {
        if recorded != sent {
            self.differences.push(format!("{recorded:?} was recorded, {sent:?} was sent"));
        }
    }
}

fn number(message: &Message) -> u64 {
    let reference = message.reference.as_ref().map(Ref::to_text).expect("a reference");
    reference.expect("a scalar").parse().expect("a number")
}

fn shown(frame: &Incoming) -> String {
    match frame {
        Incoming::Text(text) => text.to_string(),
        Incoming::Binary(data) => shown_bytes(data),
    }
}

fn shown_bytes(data: &[u8]) -> String {
    data.escape_ascii().to_string()
}
