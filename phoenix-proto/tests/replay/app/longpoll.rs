//! Long-poll sessions, driven as the server drives them.
//!
//! Here is decided what a session decides. Who may open one, which one a token means, and everything about HTTP
//! is up to the layer above, and compared in the replay over sockets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use phoenix_proto::longpoll::{
    Answer, BodyError, BodyFormat, Config, Messages, PollId, Polled, PushError, Session, parse_body,
};
use phoenix_proto::server::Connection;
use phoenix_proto::{Frame, Incoming};
use serde_json::Value;

use super::App;
use crate::recording::{PeerId, RequestId, Sent, Target};
use crate::transcript::show;

/// What a client fetches, and its requests that wait for it.
///
/// How much there is when the transport asks for the answer to a poll is a matter of time. It asks as early as it did in
/// the recording, but never before there is something.
pub(super) struct LongPoll {
    session: Session,
    polls: BTreeMap<PollId, Waiting>,
    /// How many frames came since the last answer.
    frames: usize,
    answers: Vec<(RequestId, Polled)>,
}

struct Waiting {
    request: RequestId,
    /// How many messages Phoenix had for it.
    recorded: usize,
}

/// What stands for the token, which varies.
const TOKEN: &str = "token";

impl LongPoll {
    pub(super) fn push(&mut self, frame: Frame) {
        match self.session.push(frame) {
            Ok(()) => self.frames += 1,
            // The server drops and counts it.
            Err(PushError::Binary) => {}
            Err(error) => panic!("the recordings stay within all limits: {error}"),
        }
        if self.polls.last_key_value().is_some_and(|(_, newest)| newest.recorded == self.frames) {
            self.fetch();
        }
    }

    fn fetch(&mut self) {
        while let Some((poll, polled)) = self.session.poll_answer() {
            self.session.handle_written(poll);
            if let Polled::Messages(_) = polled {
                self.frames = 0;
            }
            let waiting = self.polls.remove(&poll).expect("a poll is answered once");
            self.answers.push((waiting.request, polled));
        }
    }
}

impl App<'_> {
    /// Opens a session for a request, which may have been one for a session that is dead.
    pub(super) fn open_session(
        &mut self,
        session: PeerId,
        request: RequestId,
        asked: PeerId,
        target: &Target,
    ) {
        self.open(session, target);
        let mut config = Config::default();
        if target.path.starts_with("/short/") {
            config.window = Duration::from_secs(1);
        }
        let machine = Session::new(config, self.instant());
        let (polls, answers) = (BTreeMap::new(), Vec::new());
        self.sessions.insert(session, LongPoll { session: machine, polls, frames: 0, answers });
        self.answer(asked, request, Answer::Opened(TOKEN));
    }

    pub(super) fn poll(
        &mut self,
        peer: PeerId,
        request: RequestId,
        instead: Option<PeerId>,
        target: &Target,
    ) {
        let now = self.instant();
        let recorded = self.recording.sent_to(peer).find_map(|sent| match sent {
            Sent::Answer { request: answered, messages, .. } if *answered == request => Some(messages.len()),
            _ => None,
        });
        match (self.connections.contains_key(&peer), self.sessions.get_mut(&peer), instead) {
            (true, Some(session), _) => {
                let poll = session.session.handle_poll(now);
                session.polls.insert(poll, Waiting { request, recorded: recorded.unwrap_or_default() });
            }
            (.., Some(new)) => self.open_session(new, request, peer, target),
            (.., None) => self.answer(peer, request, Answer::Opened(TOKEN)),
        }
    }

    /// Hands over one message after the other, each when the one before it is dealt with.
    pub(super) fn post(&mut self, peer: PeerId, request: RequestId, format: BodyFormat, body: &Bytes) {
        let messages = match parse_body(format, body) {
            Ok(messages) => messages,
            Err(BodyError::NotUtf8) => {
                self.disconnect(peer);
                Vec::new()
            }
            Err(_) => return self.respond(peer, request, 500, &Value::Null),
        };
        for message in messages {
            self.take(peer, &message);
        }
        let alive = self.connections.contains_key(&peer);
        self.answer(peer, request, if alive { Answer::Accepted } else { Answer::Gone });
    }

    fn take(&mut self, peer: PeerId, message: &Incoming) {
        self.batch(peer, Connection::begin_batch);
        self.receive(peer, message);
        self.batch(peer, Connection::end_batch);
        self.settle();
    }

    pub(super) fn give_up(&mut self, peer: PeerId, request: RequestId) {
        let Some(LongPoll { session, polls, .. }) = self.sessions.get_mut(&peer) else { return };
        let waiting = polls.iter().find(|(_, waiting)| waiting.request == request).map(|(poll, _)| *poll);
        if let Some(poll) = waiting {
            polls.remove(&poll);
            session.handle_lost(poll);
        }
    }

    pub(super) fn session_timeouts(&self) -> impl Iterator<Item = Instant> {
        self.sessions.values().filter_map(|it| it.session.poll_timeout())
    }

    pub(super) fn time_out_sessions(&mut self) {
        let now = self.instant();
        let mut over = Vec::new();
        for (peer, LongPoll { session, .. }) in &mut self.sessions {
            session.handle_timeout(now);
            if session.ended().is_some() {
                over.push(*peer);
            }
        }
        for peer in over {
            self.disconnect(peer);
        }
    }

    pub(super) fn answer_polls(&mut self) {
        let mut answers = Vec::new();
        for (peer, session) in &mut self.sessions {
            session.fetch();
            answers.extend(session.answers.drain(..).map(|(request, polled)| (*peer, request, polled)));
        }
        for (peer, request, polled) in answers {
            match polled {
                Polled::Messages(frames) => {
                    self.answer(peer, request, Answer::Messages(TOKEN, &Messages::encode(&frames)));
                }
                Polled::NoContent => self.answer(peer, request, Answer::NoContent(TOKEN)),
            }
        }
    }

    fn answer(&mut self, peer: PeerId, request: RequestId, answer: Answer<'_>) {
        let body = serde_json::from_str(&answer.to_json()).expect("the body is JSON");
        self.respond(peer, request, 200, &body);
    }

    fn respond(&mut self, peer: PeerId, request: RequestId, http_status: u64, body: &Value) {
        let sent = Sent::answer(request, http_status, body);
        let shown = show(&sent);
        self.tell(peer, sent, shown);
    }
}
