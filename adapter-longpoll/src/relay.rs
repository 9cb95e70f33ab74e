//! Requests that reach another node than the one that holds their session (FEATURES H11, protocol §15.4).
//!
//! A node asks the one that holds the session on a topic that only nodes can know. The answer to the first
//! question, whether there is such a session, must come within a time limit, or there is none.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use phoenix_proto::longpoll::{Messages, PollId, Polled};
use phoenix_server::{Incoming, Payload, PubSub, Subscription, Text};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::session::{Posted, Session};
use crate::sessions::Sessions;
use crate::token::SessionId;

/// This node's end of the conversation with other nodes.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    listener: AbortHandle,
}

struct Shared {
    pubsub: PubSub,
    topic: String,
    /// Who waits for the answers of other nodes.
    asking: Mutex<HashMap<u64, mpsc::Sender<Told>>>,
    next: AtomicU64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Between {
    Ask { session: SessionId, topic: String, question: u64, what: Asked },
    Tell { question: u64, what: Told },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    Poll,
    Post(Vec<Line>),
    Violate,
    Lost(PollId),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Gone,
    Polling(PollId),
    Posting,
    Messages(String),
    NoContent,
    Posted(Posted),
}

/// A posted message.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Text(String),
    Base64(String),
}

/// A session of another node.
pub(crate) struct RemoteSession {
    shared: Arc<Shared>,
    topic: String,
    session: SessionId,
}

/// What a poll of another node's session got.
pub(crate) enum RemotePolled {
    Messages(Messages, RemotePoll),
    NoContent,
}

/// A poll at another node. Dropped before its answer is written, it is lost.
pub(crate) struct RemotePoll {
    session: RemoteSession,
    poll: PollId,
    written: bool,
}

const EVENT: &str = "longpoll";

impl Relay {
    /// Starts to listen on this node's topic.
    pub(crate) fn start(pubsub: &PubSub, topic: String, sessions: &Arc<Sessions>) -> Self {
        let subscription = pubsub.subscribe(topic.clone());
        let shared = Arc::new(Shared {
            pubsub: pubsub.clone(),
            topic,
            asking: Mutex::default(),
            next: AtomicU64::new(0),
        });
        let listener = tokio::spawn(listen(subscription, Arc::clone(&shared), Arc::clone(sessions)));
        Self { shared, listener: listener.abort_handle() }
    }

    pub(crate) fn session(&self, topic: String, session: SessionId) -> RemoteSession {
        RemoteSession { shared: Arc::clone(&self.shared), topic, session }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl RemoteSession {
    /// Polls; `None` when there is no such session.
    pub(crate) async fn poll(self, window: Duration, limit: Duration) -> Option<RemotePolled> {
        let mut question = self.ask(Asked::Poll)?;
        let Some(Told::Polling(poll)) = question.answer(limit).await else { return None };
        let mut poll = RemotePoll { session: self, poll, written: false };
        match question.answer(window.saturating_add(limit)).await {
            Some(Told::Messages(list)) => Some(RemotePolled::Messages(Messages::from_encoded(list), poll)),
            Some(_) => {
                poll.written();
                Some(RemotePolled::NoContent)
            }
            None => Some(RemotePolled::NoContent),
        }
    }

    pub(crate) async fn post(&self, messages: Vec<Incoming>, window: Duration, limit: Duration) -> Posted {
        let asked = Asked::Post(messages.into_iter().map(Line::from).collect());
        let Some(mut question) = self.ask(asked) else { return Posted::Gone };
        match question.answer(limit).await {
            Some(Told::Posting) => {}
            _ => return Posted::Gone,
        }
        match question.answer(window.saturating_add(limit)).await {
            Some(Told::Posted(posted)) => posted,
            _ => Posted::Timeout,
        }
    }

    /// Ends the session because of a message that is none.
    pub(crate) fn violate(&self) -> Posted {
        self.shared.tell_node(&self.topic, &self.asking(0, Asked::Violate));
        Posted::Gone
    }

    fn ask(&self, what: Asked) -> Option<Question> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (told, answers) = mpsc::channel(2);
        self.shared.asking.lock().insert(number, told);
        let question = Question { shared: Arc::clone(&self.shared), number, answers };
        self.shared.tell_node(&self.topic, &self.asking(number, what)).then_some(question)
    }

    fn asking(&self, question: u64, what: Asked) -> Between {
        Between::Ask { session: self.session, topic: self.shared.topic.clone(), question, what }
    }
}

impl RemotePoll {
    /// The answer is handed to the HTTP server.
    pub(crate) fn written(&mut self) {
        self.written = true;
    }
}

impl Drop for RemotePoll {
    fn drop(&mut self) {
        if !self.written {
            let session = &self.session;
            session.shared.tell_node(&session.topic, &session.asking(0, Asked::Lost(self.poll)));
        }
    }
}

/// A question under way.
struct Question {
    shared: Arc<Shared>,
    number: u64,
    answers: mpsc::Receiver<Told>,
}

impl Question {
    async fn answer(&mut self, limit: Duration) -> Option<Told> {
        timeout(limit, self.answers.recv()).await.ok().flatten()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.shared.asking.lock().remove(&self.number);
    }
}

impl Shared {
    /// Whether the message is under way.
    fn tell_node(&self, topic: &str, message: &Between) -> bool {
        let payload = Payload::json(message).expect("the message has a JSON form");
        match self.pubsub.broadcast(topic, EVENT, payload) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "cannot reach the node of a session");
                false
            }
        }
    }
}

/// Answers other nodes, and passes on what they answer.
async fn listen(mut subscription: Subscription, shared: Arc<Shared>, sessions: Arc<Sessions>) {
    loop {
        let message = match subscription.recv().await {
            Ok(broadcast) => broadcast.payload.parse::<Between>(),
            Err(lagged) => {
                tracing::warn!(error = %lagged, "requests of other nodes are lost");
                continue;
            }
        };
        match message {
            Ok(Between::Tell { question, what }) => {
                if let Some(asking) = shared.asking.lock().get(&question) {
                    // More answers than questions: nobody waits for them.
                    let _ = asking.try_send(what);
                }
            }
            Ok(Between::Ask { session, topic, question, what }) => {
                let asker = Asker { shared: Arc::clone(&shared), topic, question };
                asker.serve(sessions.with_id(session), what);
            }
            Err(error) => tracing::warn!(%error, "a request of another node makes no sense"),
        }
    }
}

/// Whom to answer.
struct Asker {
    shared: Arc<Shared>,
    topic: String,
    question: u64,
}

impl Asker {
    fn serve(self, session: Option<Arc<Session>>, what: Asked) {
        match (session, what) {
            (Some(session), Asked::Violate) => {
                session.violate();
            }
            (Some(session), Asked::Lost(poll)) => session.lost(poll),
            (None, Asked::Violate | Asked::Lost(_)) => {}
            (None, Asked::Poll | Asked::Post(_)) => self.tell(Told::Gone),
            (Some(session), Asked::Poll) => {
                let Some(waiting) = session.poll() else { return self.tell(Told::Gone) };
                let poll = waiting.id();
                self.tell(Told::Polling(poll));
                tokio::spawn(async move {
                    match waiting.await {
                        Polled::Messages(frames) => {
                            self.tell(Told::Messages(Messages::encode(&frames).as_str().to_owned()));
                            // Unless the other node says otherwise before the next poll.
                            session.written(poll);
                        }
                        Polled::NoContent => self.tell(Told::NoContent),
                    }
                });
            }
            (Some(session), Asked::Post(lines)) => {
                self.tell(Told::Posting);
                tokio::spawn(async move {
                    let messages = lines.into_iter().map(Incoming::try_from).collect::<Result<_, _>>();
                    let posted = match messages {
                        Ok(messages) => session.post(messages).await,
                        Err(_) => Posted::Gone,
                    };
                    self.tell(Told::Posted(posted));
                });
            }
        }
    }

    fn tell(&self, what: Told) {
        self.shared.tell_node(&self.topic, &Between::Tell { question: self.question, what });
    }
}

impl From<Incoming> for Line {
    fn from(message: Incoming) -> Self {
        match message {
            Incoming::Text(text) => Self::Text(text.to_string()),
            Incoming::Binary(data) => Self::Base64(STANDARD.encode(data)),
        }
    }
}

impl TryFrom<Line> for Incoming {
    type Error = base64::DecodeError;

    fn try_from(line: Line) -> Result<Self, Self::Error> {
        Ok(match line {
            Line::Text(text) => Self::Text(Text::from(text)),
            Line::Base64(data) => Self::Binary(STANDARD.decode(data)?.into()),
        })
    }
}
