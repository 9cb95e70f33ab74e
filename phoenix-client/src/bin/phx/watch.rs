//! Turns what goes over the wire into messages for the console, and hands it to the recorder.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use bytes::Bytes;
use phoenix_client::{
    ClientSerializer, ConnectionId, Direction, Event, Incoming, Json, Message, Observe, Payload, Received,
    Ref, Text, V1, V2, WireEvent,
};
use phoenix_proto::Serializer;

use crate::args::Version;
use crate::console::Console;
use crate::record::Recorder;

/// Of so many messages an answer is timed; there may be none to the older ones.
const UNANSWERED: usize = 1024;

/// Watches a socket.
pub(crate) struct Watcher {
    console: Arc<Console>,
    vsn: Version,
    state: Mutex<State>,
}

struct State {
    /// When each message with a reference was sent that was not answered, up to [`UNANSWERED`].
    sent: VecDeque<(Ref, Instant)>,
    recorder: Option<Recorder>,
}

impl State {
    /// How many milliseconds ago the message with this reference was sent, if it is answered for the first time.
    fn took(&mut self, reference: &Ref) -> Option<f64> {
        let index = self.sent.iter().position(|(sent, _)| sent == reference)?;
        let (_, sent) = self.sent.remove(index)?;
        Some(sent.elapsed().as_secs_f64() * 1000.0)
    }
}

impl Watcher {
    pub(crate) fn new(console: Arc<Console>, vsn: Version, recorder: Option<Recorder>) -> Self {
        Self { console, vsn, state: Mutex::new(State { sent: VecDeque::new(), recorder }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self, data: Incoming) {
        let serializer: &dyn Serializer = if self.vsn == Version::V1 { &V1 } else { &V2 };
        if let Ok(message) = serializer.decode(data) {
            if let Some(reference) = &message.reference {
                let mut state = self.state();
                if state.sent.len() == UNANSWERED {
                    state.sent.pop_front();
                }
                state.sent.push_back((reference.clone(), Instant::now()));
            }
            self.console.message(Direction::ToServer, &message, None);
        }
    }

    fn received(&self, data: Incoming) {
        let serializer: &dyn ClientSerializer = if self.vsn == Version::V1 { &V1 } else { &V2 };
        match serializer.decode(data) {
            Ok(Received::Message(message)) => self.console.message(Direction::ToClient, &message, None),
            Ok(Received::Reply(reply)) => {
                let took = reply.reference.as_ref().and_then(|reference| self.state().took(reference));
                let event = Event::from(Text::from(format!("reply {}", reply.status.as_str())));
                let message = Message {
                    join_ref: reply.join_ref,
                    reference: reply.reference,
                    topic: reply.topic,
                    event,
                    payload: reply.payload,
                };
                self.console.message(Direction::ToClient, &message, took);
            }
            Err(error) => self.console.problem(&error),
        }
    }

    /// The messages in the body of a long-poll request.
    fn posted(&self, body: &Bytes) {
        let is_batch = body.first() == Some(&b'[');
        let parts: Vec<_> = if is_batch || self.vsn == Version::V2 {
            body.split(|byte| *byte == b'\n').map(|part| body.slice_ref(part)).collect()
        } else {
            vec![body.clone()]
        };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let is_text = matches!(part.first(), Some(b'[' | b'{'));
            let data = if is_text {
                Text::from_utf8(part).ok().map(Incoming::Text)
            } else {
                let data = base64::engine::general_purpose::STANDARD.decode(part).ok();
                data.map(|data| Incoming::Binary(data.into()))
            };
            if let Some(data) = data {
                self.sent(data);
            }
        }
    }

    /// The messages in the body of a long-poll answer.
    fn polled(&self, body: &Bytes) {
        let answer = Text::from_utf8(body.clone()).ok().and_then(|text| Json::from_text(&text).ok());
        let answer = answer.and_then(|json| Payload::Json(json).parse::<serde_json::Value>().ok());
        let Some(answer) = answer else { return };
        for message in answer["messages"].as_array().into_iter().flatten() {
            if let Some(text) = message.as_str() {
                self.received(Incoming::Text(text.into()));
            }
        }
    }
}

impl Observe for Watcher {
    fn observe(&self, connection: ConnectionId, event: &WireEvent<'_>) {
        if let Some(recorder) = &mut self.state().recorder {
            recorder.record(connection, event);
        }
        match event {
            WireEvent::Frame { direction: Direction::ToServer, data } => self.sent((*data).clone()),
            WireEvent::Frame { direction: Direction::ToClient, data } => self.received((*data).clone()),
            WireEvent::Request { upgrade: true, request, .. } => {
                self.console.connection(&format!("connecting to {}", request.uri()));
            }
            WireEvent::Response { upgrade: true, response, .. } => {
                self.console.connection(&format!("answered with {}", response.status()));
            }
            WireEvent::Request { body, .. } => self.posted(body),
            WireEvent::Response { body, .. } => self.polled(body),
            WireEvent::Close { direction, code, .. } => {
                let who = if *direction == Direction::ToServer { "closing" } else { "closed by the server" };
                let code = code.map(|code| format!(" with {code}")).unwrap_or_default();
                self.console.connection(&format!("{who}{code}"));
            }
            _ => {}
        }
    }
}
