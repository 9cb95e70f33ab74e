//! One channel per room: history on the join reply, messages to everybody, typing to everybody else, and who is there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use phoenix_server::{
    Channel, ConnectInfo, Context, Crash, Flow, JoinError, Payload, Presence, PubSub, Refused, Router,
    SendError, Socket, Status,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Anybody may connect, as somebody or as nobody.
pub(crate) struct ChatSocket {
    user: Option<String>,
}

impl Socket for ChatSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self { user: info.params.text("user").map(|user| format!("user:{user}")) })
    }

    fn id(&self) -> Option<String> {
        self.user.clone()
    }

    fn channels(router: &mut Router<Self>) {
        router.channel_with::<Room>("room:*", Histories::default());
    }
}

/// A client in a room.
pub(crate) struct Room {
    nick: String,
    histories: Histories,
    presence: Presence,
}

/// What a channel tells itself.
pub(crate) enum Info {
    /// The join reply is on its way.
    Joined,
}

/// The last messages of every room.
#[derive(Clone, Default)]
pub(crate) struct Histories(Arc<Mutex<HashMap<String, VecDeque<ChatMessage>>>>);

/// A message as it is stored and broadcast.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ChatMessage {
    nick: String,
    body: String,
    /// Where it was said.
    node: String,
    /// Milliseconds since 1970.
    at: u64,
}

#[derive(Deserialize)]
struct JoinParams {
    nick: String,
}

#[derive(Deserialize)]
struct NewMessage {
    body: String,
}

#[derive(Deserialize)]
struct Typing {
    typing: bool,
}

/// The name of the presence that says who is in which room.
pub(crate) const PRESENCE: &str = "chat";

/// How many messages of a room are remembered.
const HISTORY: usize = 50;

impl Channel for Room {
    type Socket = ChatSocket;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let nick = params.parse().map_or_else(|_| String::new(), |params: JoinParams| params.nick);
        if nick.trim().is_empty() {
            return Err(JoinError::refuse(json!({"reason": "nick required"})));
        }
        let histories = cx.route_data::<Histories>().cloned().unwrap_or_default();
        histories.follow(cx.topic(), cx.pubsub());
        let node = cx.pubsub().node_name().as_str();
        let reply = Payload::json(&json!({"history": histories.of(cx.topic()), "node": node}))?;
        cx.handle().send(Info::Joined)?;
        Ok((Self { nick, histories, presence: cx.presence(PRESENCE)? }, reply))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match info {
            Info::Joined => {
                let meta = json!({"since": now(), "node": cx.pubsub().node_name().as_str()});
                self.presence.track(cx, &self.nick, meta)?;
                self.presence.push_state(cx).await?;
            }
        }
        Ok(Flow::Continue)
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "new_msg" => {
                let NewMessage { body } = payload.parse()?;
                if body.trim().is_empty() {
                    return Ok(Flow::error(json!({"reason": "empty"})));
                }
                let node = cx.pubsub().node_name().to_string();
                let message = ChatMessage { nick: self.nick.clone(), body, node, at: now() };
                match cx.broadcast("new_msg", Payload::json(&message)?) {
                    Ok(()) => self.histories.add(cx.topic(), message),
                    // Nobody heard it, and whoever said it can say it again.
                    Err(SendError::Publish(_)) => return Ok(Flow::error(json!({"reason": "unavailable"}))),
                    Err(error) => return Err(error.into()),
                }
                Ok(Flow::reply(Status::OK))
            }
            "typing" => {
                let Typing { typing } = payload.parse()?;
                // Not worth more than one try.
                let _ = cx.broadcast_from("typing", json!({"nick": self.nick, "typing": typing}));
                Ok(Flow::Continue)
            }
            "sign_out" => {
                // Ends all connections of this user, on whatever node.
                if let Some(user) = cx.socket().id() {
                    cx.pubsub().broadcast(user, "disconnect", Payload::EMPTY)?;
                }
                Ok(Flow::Continue)
            }
            _ => Err(Crash::unhandled(event)),
        }
    }
}

impl Histories {
    fn of(&self, room: &str) -> VecDeque<ChatMessage> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(room).cloned().unwrap_or_default()
    }

    /// Keeps the history of a room of which this node has none: from now on also what is said on other nodes.
    fn follow(&self, room: &str, pubsub: &PubSub) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.contains_key(room) {
            return;
        }
        rooms.insert(room.to_owned(), VecDeque::new());
        let (histories, mut said) = (self.clone(), pubsub.subscribe(room));
        let node = pubsub.node_name().clone();
        tokio::spawn(async move {
            loop {
                // Of what was lost because this was too slow nobody will know.
                let Ok(broadcast) = said.recv().await else { continue };
                match broadcast.payload.parse::<ChatMessage>() {
                    Ok(message) if broadcast.event == "new_msg" && message.node != node.as_str() => {
                        histories.add(&broadcast.topic, message);
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        });
    }

    fn add(&self, room: &str, message: ChatMessage) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let history = rooms.entry(room.to_owned()).or_default();
        history.push_back(message);
        if history.len() > HISTORY {
            history.pop_front();
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
