use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Frame, Opcode};

/// Limits of one session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How long a poll waits for messages; 10 s by default.
    pub window: Duration,
    /// How many frames may wait for polls; 65,536 by default.
    pub max_frames: usize,
    /// How many bytes they may have together; 64 MiB by default.
    pub max_bytes: usize,
    /// What happens beyond these limits; [`Overflow::End`] by default.
    pub overflow: Overflow,
}

/// What happens when more waits for the client than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The session ends, so that the client notices and joins again.
    #[default]
    End,
    /// Frames that do not fit are dropped and counted.
    Drop,
}

/// Names one poll of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PollId(u64);

/// What a poll gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// Everything that waited, oldest first; never empty.
    Messages(Vec<Frame>),
    /// Nothing came within the window.
    NoContent,
}

/// Why a session is over by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No poll started for too long (protocol §15.7).
    Inactive,
    /// More waits for the client than may.
    Overflow,
}

/// A frame that is not kept for the client; it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// It is binary, which no JSON string can hold.
    #[error("a binary message cannot be long-polled")]
    Binary,
    /// It is a ping or pong, which only a WebSocket knows.
    #[error("a ping or pong cannot be long-polled")]
    Control,
    /// There is no more room.
    #[error("too much waits for the client")]
    Full,
    /// The session is over.
    #[error("the session is over")]
    Over,
}

/// What waits for a client that polls, and the polls that wait for it.
///
/// See the [module](super) for how it is driven and what it guarantees.
#[derive(Debug)]
pub struct Session {
    config: Config,
    waiting: Load,
    /// What a poll was given, until it is known to be lost or the next poll starts.
    handed: Option<Handed>,
    /// Polls without an answer with the end of their windows, oldest first.
    polls: VecDeque<(PollId, Instant)>,
    /// The poll that gets the next message: the newest, unless it is answered.
    newest: Option<PollId>,
    answers: VecDeque<(PollId, Polled)>,
    next_poll: u64,
    last_poll: Instant,
    next_check: Instant,
    ended: Option<Ended>,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Load {
    frames: VecDeque<Frame>,
    bytes: usize,
}

#[derive(Debug)]
struct Handed {
    poll: PollId,
    load: Load,
    written: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            max_frames: 65_536,
            max_bytes: 64 << 20,
            overflow: Overflow::default(),
        }
    }
}

impl Session {
    /// A session that was opened at `now`, which counts as its first poll.
    pub fn new(config: Config, now: Instant) -> Self {
        let next_check = after(now, inactivity(&config));
        Self {
            config,
            waiting: Load::default(),
            handed: None,
            polls: VecDeque::new(),
            newest: None,
            answers: VecDeque::new(),
            next_poll: 0,
            last_poll: now,
            next_check,
            ended: None,
            dropped: 0,
        }
    }

    /// A poll arrived. It gets what waits at once, or else the next message within its window; a poll that
    /// waited before it gets nothing any more.
    pub fn handle_poll(&mut self, now: Instant) -> PollId {
        let poll = PollId(self.next_poll);
        self.next_poll += 1;
        self.last_poll = now;
        self.handed.take_if(|handed| handed.written);
        if let Some(superseded) = self.take_back() {
            let answers = self.answers.iter_mut().filter(|(answered, _)| *answered == superseded);
            answers.for_each(|(_, polled)| *polled = Polled::NoContent);
        }
        self.polls.push_back((poll, after(now, self.config.window)));
        self.newest = Some(poll);
        self.hand_out();
        poll
    }

    /// The answer to a poll is written to its connection: unless it turns out to be [lost](Self::handle_lost)
    /// before the next poll, what it was given is the client's.
    pub fn handle_written(&mut self, poll: PollId) {
        if let Some(handed) = self.handed.as_mut().filter(|handed| handed.poll == poll) {
            handed.written = true;
        }
    }

    /// The connection of a poll broke before the client had the answer: the poll does not wait any more, and
    /// what it was given is for the next one, if that has not started yet.
    pub fn handle_lost(&mut self, poll: PollId) {
        self.polls.retain(|(waiting, _)| *waiting != poll);
        self.newest.take_if(|newest| *newest == poll);
        self.answers.retain(|(answered, _)| *answered != poll);
        if self.handed.as_ref().is_some_and(|handed| handed.poll == poll) {
            self.take_back();
        }
    }

    /// Time has passed; harmless when called too early.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((poll, _)) = self.polls.front().copied().filter(|(_, deadline)| now >= *deadline) {
            self.polls.pop_front();
            self.newest.take_if(|newest| *newest == poll);
            self.answers.push_back((poll, Polled::NoContent));
        }
        if now >= self.next_check && self.ended.is_none() {
            let limit = inactivity(&self.config);
            // As of when it was due: that it comes late is not the client's fault.
            if self.next_check.saturating_duration_since(self.last_poll) > limit {
                self.end(Ended::Inactive);
            } else {
                self.next_check = after(now, limit);
            }
        }
    }

    /// Keeps a frame for the client, or hands it to the poll that waits.
    ///
    /// A binary frame is refused: phoenix.js could not read it, and of one that is not UTF-8 no answer could be made
    /// (quirk Q16). So is a ping or pong.
    ///
    /// # Errors
    /// [`PushError`]. With [`Overflow::End`] the session has [ended](Self::ended) after [`PushError::Full`].
    pub fn push(&mut self, frame: Frame) -> Result<(), PushError> {
        let error = if self.ended.is_some() {
            PushError::Over
        } else if frame.opcode() == Opcode::Binary {
            PushError::Binary
        } else if frame.opcode() != Opcode::Text {
            PushError::Control
        } else if !self.has_room(&frame) {
            if self.config.overflow == Overflow::End {
                self.end(Ended::Overflow);
            }
            PushError::Full
        } else {
            self.waiting.bytes += frame.len();
            self.waiting.frames.push_back(frame);
            return Ok(());
        };
        self.dropped += 1;
        Err(error)
    }

    /// The next answer to a poll.
    ///
    /// Frames that were pushed one after the other before this is called go into one answer.
    #[must_use = "the poll has to be answered"]
    pub fn poll_answer(&mut self) -> Option<(PollId, Polled)> {
        self.hand_out();
        self.answers.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use = "the timeout has to be waited for"]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let check = self.ended.is_none().then_some(self.next_check);
        let window = self.polls.front().map(|(_, deadline)| *deadline);
        check.into_iter().chain(window).min()
    }

    /// Whether the session is over by itself, and why.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// How many frames were not kept for the client.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn has_room(&self, frame: &Frame) -> bool {
        let handed = self.handed.as_ref().filter(|handed| !handed.written).map(|handed| &handed.load);
        let loads = || handed.into_iter().chain([&self.waiting]);
        loads().map(|load| load.frames.len()).sum::<usize>() < self.config.max_frames
            && loads().map(|load| load.bytes).sum::<usize>() + frame.len() <= self.config.max_bytes
    }

    /// Gives the poll that is next everything that waits.
    fn hand_out(&mut self) {
        if self.waiting.frames.is_empty() {
            return;
        }
        let Some(poll) = self.newest.take() else { return };
        self.polls.retain(|(waiting, _)| *waiting != poll);
        let load = std::mem::take(&mut self.waiting);
        self.answers.push_back((poll, Polled::Messages(load.frames.iter().cloned().collect())));
        self.handed = Some(Handed { poll, load, written: false });
    }

    /// Puts what a poll was given back in front of what waits.
    fn take_back(&mut self) -> Option<PollId> {
        let Handed { poll, load: mut first, .. } = self.handed.take()?;
        first.frames.append(&mut self.waiting.frames);
        first.bytes += self.waiting.bytes;
        self.waiting = first;
        Some(poll)
    }

    fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.waiting = Load::default();
        self.handed = None;
    }
}

/// One and a half windows, to the millisecond (protocol §15.7).
fn inactivity(config: &Config) -> Duration {
    let millis = u64::try_from(config.window.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_add(millis / 2))
}

/// A moment that much later, or one that nobody will see.
fn after(now: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(time).unwrap_or_else(|| now + FAR)
}
