//! The long-poll transport of a client as a pure machine (protocol §22).
//!
//! It turns messages into HTTP requests and answers into messages; a driver executes the requests. Where a
//! [`Socket`](super::Socket) is told of a WebSocket, it is told of one of these.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::codec::Outgoing;
use super::event::{Closed, ConnectRequest};
use super::url::with_param;
use crate::{Incoming, Text};

/// The most lines that a server reads of one request (quirk Q15).
const MAX_LINES: usize = 100;

/// The most bytes in one request of several lines; servers refuse bodies beyond 8 MB.
const MAX_BATCH: usize = 1 << 20;

/// One connection by long polling.
///
/// The contract is that of a [`Socket`](super::Socket): any number of inputs, then drain
/// [`poll_command`](Self::poll_command) and [`poll_event`](Self::poll_event). Everything sent before a drain
/// leaves in one request, and one request with messages is in flight at a time.
///
/// V1 messages and other text that does not start with `[` cannot be lines of a batch; each of them leaves in
/// a request of its own, which real Phoenix understands (phoenix.js cannot do that).
#[derive(Debug)]
pub struct LongPoll {
    url: Text,
    auth_token: Option<Text>,
    timeout: Duration,
    /// The token of the session, once there is one.
    session: Option<Text>,
    state: State,
    queue: VecDeque<Line>,
    poll: Option<InFlight>,
    post: Option<InFlight>,
    last_request: u64,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
}

/// Names one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Execute a request, then report `handle_response`.
    Request(Request),
    /// Give up a request; nothing needs to be reported.
    Abort(RequestId),
}

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// GET or POST.
    pub method: Method,
    /// The complete address.
    pub url: Text,
    /// The headers that matter to the protocol.
    pub headers: Vec<(&'static str, Text)>,
    /// The body; empty for GET.
    pub body: Bytes,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Opens the session, or waits for messages.
    Get,
    /// Sends messages.
    Post,
}

/// What happened on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session exists.
    Opened,
    /// A message came.
    Message(Incoming),
    /// The connection ended; nothing follows.
    Closed(Closed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    /// Closed by this side as soon as everything is sent.
    Closing,
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    id: RequestId,
    deadline: Option<Instant>,
}

/// A message as it stands in a request.
#[derive(Debug)]
enum Line {
    /// One line among others.
    Batched(Text),
    /// A request of its own.
    Alone(Text),
}

/// The body of every answer.
#[derive(Deserialize)]
struct Answer<'a> {
    status: u16,
    token: Option<String>,
    #[serde(borrow, default)]
    messages: Vec<&'a RawValue>,
}

impl LongPoll {
    /// Begins a session; no request may take longer than `timeout`.
    pub fn new(request: &ConnectRequest, timeout: Duration, now: Instant) -> Self {
        let mut long_poll = Self {
            url: request.url.clone(),
            auth_token: request.auth_token.clone(),
            timeout,
            session: None,
            state: State::Connecting,
            queue: VecDeque::new(),
            poll: None,
            post: None,
            last_request: 0,
            commands: VecDeque::new(),
            events: VecDeque::new(),
        };
        long_poll.start_poll(now);
        long_poll
    }

    /// Sends a message; what is sent to a connection that has ended is dropped.
    pub fn send(&mut self, message: Outgoing) {
        if self.state != State::Closed {
            self.queue.push_back(Line::from(message));
        }
    }

    /// Whether a full request is waiting, so that a driver had better keep further messages to itself.
    pub fn is_congested(&self) -> bool {
        self.queue.len() >= MAX_LINES
    }

    /// Closes the connection when everything is sent; the session ends on the server by inactivity.
    pub fn close(&mut self) {
        match self.state {
            State::Open if self.post.is_some() || !self.queue.is_empty() => self.state = State::Closing,
            State::Open | State::Connecting => self.end(Closed::by_frame(Some(1000), "")),
            State::Closing | State::Closed => {}
        }
    }

    /// A request was answered: `body` is the answer's, `None` when there is none because the request failed.
    ///
    /// The HTTP status does not matter: the protocol has its own in the body.
    pub fn handle_response(&mut self, request: RequestId, body: Option<&[u8]>, now: Instant) {
        let answer = body.and_then(|body| serde_json::from_slice::<Answer<'_>>(body).ok());
        if self.poll.is_some_and(|poll| poll.id == request) {
            self.poll = None;
            self.poll_answered(answer, now);
        } else if self.post.is_some_and(|post| post.id == request) {
            self.post = None;
            self.post_answered(answer.as_ref());
        }
    }

    /// Ends the connection if a request has taken too long; harmless at any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.end(Closed { code: 1005, reason: Text::from_static("timeout"), ..Closed::failed() });
        }
    }

    /// The next thing for the driver to do; a request with messages is made by this call.
    #[must_use]
    pub fn poll_command(&mut self, now: Instant) -> Option<Command> {
        self.commands.pop_front().or_else(|| self.next_post(now).map(Command::Request))
    }

    /// The next thing that happened.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.poll, self.post].into_iter().flatten().filter_map(|request| request.deadline).min()
    }

    fn poll_answered(&mut self, answer: Option<Answer<'_>>, now: Instant) {
        let Some(answer) = answer else { return self.end(internal_error()) };
        match answer.status {
            200 | 204 if self.session.is_some() => {
                self.session = answer.token.map(Text::from).or_else(|| self.session.take());
                for message in answer.messages {
                    self.events.push_back(Event::Message(Incoming::Text(message_text(message))));
                }
                self.start_poll(now);
            }
            410 if self.session.is_some() => {
                self.end(Closed {
                    code: 3410,
                    reason: Text::from_static("session_gone"),
                    ..Closed::failed()
                });
            }
            410 if answer.token.is_some() => {
                self.session = answer.token.map(Text::from);
                self.state = State::Open;
                self.events.push_back(Event::Opened);
                self.start_poll(now);
            }
            403 => self.end(Closed {
                code: 1008,
                reason: Text::from_static("forbidden"),
                ..Closed::refused(403)
            }),
            _ => self.end(internal_error()),
        }
    }

    fn post_answered(&mut self, answer: Option<&Answer<'_>>) {
        match answer {
            Some(Answer { status: 200, .. }) => {
                if self.state == State::Closing && self.queue.is_empty() {
                    self.end(Closed::by_frame(Some(1000), ""));
                }
            }
            _ => self.end(internal_error()),
        }
    }

    fn start_poll(&mut self, now: Instant) {
        let mut headers = vec![("accept", Text::from_static("application/json"))];
        if let Some(token) = &self.auth_token {
            headers.push(("x-phoenix-authtoken", token.clone()));
        }
        let (request, in_flight) = self.request(Method::Get, headers, Bytes::new(), now);
        self.poll = Some(in_flight);
        self.commands.push_back(Command::Request(request));
    }

    fn next_post(&mut self, now: Instant) -> Option<Request> {
        if self.post.is_some() || !matches!(self.state, State::Open | State::Closing) {
            return None;
        }
        let (content_type, body) = match self.queue.pop_front()? {
            Line::Alone(text) => ("application/json", text.into_bytes()),
            Line::Batched(first) => ("application/x-ndjson", self.batch(&first)),
        };
        let headers = vec![("content-type", Text::from_static(content_type))];
        let (request, in_flight) = self.request(Method::Post, headers, body, now);
        self.post = Some(in_flight);
        Some(request)
    }

    /// As many lines as fit in one request, the first one in any case.
    fn batch(&mut self, first: &Text) -> Bytes {
        let mut body = first.as_bytes().to_vec();
        for _ in 1..MAX_LINES {
            match self.queue.front() {
                Some(Line::Batched(line)) if body.len() + 1 + line.len() <= MAX_BATCH => {
                    body.push(b'\n');
                    body.extend_from_slice(line.as_bytes());
                    self.queue.pop_front();
                }
                _ => break,
            }
        }
        body.into()
    }

    fn request(
        &mut self,
        method: Method,
        headers: Vec<(&'static str, Text)>,
        body: Bytes,
        now: Instant,
    ) -> (Request, InFlight) {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        let url = match &self.session {
            Some(token) => with_param(&self.url, "token", token),
            None => self.url.clone(),
        };
        let deadline = now.checked_add(self.timeout);
        (Request { id, method, url, headers, body }, InFlight { id, deadline })
    }

    fn end(&mut self, closed: Closed) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.queue.clear();
        for request in [self.poll.take(), self.post.take()].into_iter().flatten() {
            self.commands.push_back(Command::Abort(request.id));
        }
        self.events.push_back(Event::Closed(closed));
    }
}

impl From<Outgoing> for Line {
    fn from(message: Outgoing) -> Self {
        match message {
            Outgoing::Text(text) if text.starts_with('[') && !text.contains(['\n', '\r']) => {
                Self::Batched(text)
            }
            Outgoing::Text(text) => Self::Alone(text),
            Outgoing::Binary(data) => Self::Batched(STANDARD.encode(data).into()),
        }
    }
}

fn internal_error() -> Closed {
    Closed { code: 1011, reason: Text::from_static("internal server error"), ..Closed::failed() }
}

/// The characters of a string; servers before Phoenix 1.4 sent the messages themselves.
fn message_text(message: &RawValue) -> Text {
    serde_json::from_str::<String>(message.get()).map_or_else(|_| Text::from(message.get()), Text::from)
}

#[cfg(test)]
mod tests;
