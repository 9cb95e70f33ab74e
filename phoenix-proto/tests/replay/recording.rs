//! A recording as the machines see it: messages and requests in, frames, answers and close codes out.

mod http;
mod reader;

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use phoenix_proto::Incoming;
use phoenix_proto::longpoll::BodyFormat;
use serde_json::Value;

/// Virtual time in tenths of a millisecond, as precise as the recordings are.
pub(crate) type Time = u64;

/// Names a request of a long-poll client.
pub(crate) type RequestId = u64;

pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) events: Vec<Event>,
}

pub(crate) struct Event {
    pub(crate) at: Time,
    pub(crate) peer: PeerId,
    pub(crate) what: What,
}

/// Whom an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PeerId {
    /// Nobody: it happens to the server.
    Server,
    /// The number of a TCP connection.
    Connection(u64),
    /// A long-poll session, in the order in which Phoenix opened them.
    Session(u64),
}

pub(crate) enum What {
    /// The upgrade succeeded, or a request opened a session.
    Opened { target: Target, request: Option<RequestId> },
    /// A whole message from the client.
    Received(Incoming),
    /// Bytes from the client that are no message: a ping, a part of a message, a frame not kept in full.
    Bytes,
    /// The client closed the connection, or it was gone.
    Left,
    /// A request for the messages of a session, with the session that Phoenix opened instead, if it did.
    Polled { request: RequestId, target: Target, instead: Option<PeerId> },
    /// A request with messages for a session.
    Posted { request: RequestId, format: BodyFormat, body: Bytes },
    /// The client does not wait for the answer to a request any more.
    GaveUp { request: RequestId },
    /// What Phoenix sent.
    Sent(Sent),
    /// A call to the control interface of the reference application.
    Control { action: String, request: Value },
    /// A request that no machine gets to see, and what Phoenix answered.
    Http { request: String, answer: String },
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) query: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sent {
    Text(Value),
    Binary(Vec<u8>),
    Close(u64),
    /// The answer to a request: the status in its body, or its own if it has none there, and the messages.
    Answer {
        request: RequestId,
        status: u64,
        messages: Vec<Value>,
    },
}

/// How far apart frames or requests may be that were read in one go.
const READ_TOGETHER: Time = 3;

impl Recording {
    pub(crate) fn read(path: &Path) -> Self {
        let lines = std::fs::read_to_string(path).expect("the recording is readable");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
        let lines: Vec<_> = lines.collect();
        let (head, lines) = lines.split_first().expect("the first line describes the recording");
        Self {
            name: head["scenario"].as_str().expect("a recording has a name").to_owned(),
            description: head["desc"].as_str().expect("a recording has a description").to_owned(),
            events: reader::events(lines),
        }
    }

    /// What Phoenix sent to one client.
    pub(crate) fn sent_to(&self, peer: PeerId) -> impl Iterator<Item = &Sent> {
        let events = self.events.iter().filter(move |event| event.peer == peer);
        events.filter_map(|event| match &event.what {
            What::Sent(sent) => Some(sent),
            _ => None,
        })
    }
}

impl Event {
    /// The message and its time, if it came so soon after the `first` one that both were read together.
    pub(crate) fn received_with(&self, first: &Self) -> Option<(Time, &Incoming)> {
        match &self.what {
            What::Received(incoming) if self.peer == first.peer && self.at <= first.at + READ_TOGETHER => {
                Some((self.at, incoming))
            }
            _ => None,
        }
    }

    /// Whether it is a poll that came so soon after the `post` that it was there when that was dealt with.
    pub(crate) fn polled_with(&self, post: &Self) -> bool {
        matches!(self.what, What::Polled { .. })
            && self.peer == post.peer
            && self.at <= post.at + READ_TOGETHER
    }
}

impl Target {
    /// The last value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&');
        let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values.next_back().map(|value| value.replace("%2B", "+"))
    }
}

impl Sent {
    /// The answer to a request with a JSON body, if it has one.
    pub(crate) fn answer(request: RequestId, http_status: u64, body: &Value) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice).iter();
        // A message that is no JSON stays the string it came in.
        let decoded = messages.map(|message| {
            let text = message.as_str().expect("messages are strings");
            serde_json::from_str(text).unwrap_or_else(|_| message.clone())
        });
        let status = body["status"].as_u64().unwrap_or(http_status);
        Self::Answer { request, status, messages: decoded.collect() }
    }

    /// The JSON messages in it.
    pub(crate) fn messages(&self) -> &[Value] {
        match self {
            Self::Text(message) => std::slice::from_ref(message),
            Self::Answer { messages, .. } => messages,
            Self::Binary(_) | Self::Close(_) => &[],
        }
    }

    pub(crate) fn messages_mut(&mut self) -> &mut [Value] {
        match self {
            Self::Text(message) => std::slice::from_mut(message),
            Self::Answer { messages, .. } => messages,
            Self::Binary(_) | Self::Close(_) => &mut [],
        }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("The server"),
            Self::Connection(number) => write!(f, "Connection {number}"),
            Self::Session(number) => write!(f, "Long-poll session {number}"),
        }
    }
}

impl fmt::Display for Target {
    /// Without the token of a session, which varies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.query.split('&').filter(|pair| !pair.starts_with("token=SFMyNTY"));
        write!(f, "{}?{}", self.path, pairs.collect::<Vec<_>>().join("&"))
    }
}
