//! One channel per room: history on the join reply, messages to everybody, typing to everybody else, and who is there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use phoenix_server::{
    Channel, ConnectInfo, Context, Crash, Flow, JoinError, Payload, Presence, Refused, Router, Socket, Status,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Anybody may connect.
pub(crate) struct ChatSocket;

impl Socket for ChatSocket {
    async fn connect(_info: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
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
#[derive(Clone, Serialize)]
pub(crate) struct ChatMessage {
    nick: String,
    body: String,
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
        let reply = Payload::json(&json!({"history": histories.of(cx.topic())}))?;
        cx.handle().send(Info::Joined)?;
        Ok((Self { nick, histories, presence: cx.presence(PRESENCE)? }, reply))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match info {
            Info::Joined => {
                self.presence.track(cx, &self.nick, json!({"since": now()}))?;
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
                let message = ChatMessage { nick: self.nick.clone(), body, at: now() };
                cx.broadcast("new_msg", Payload::json(&message)?)?;
                self.histories.add(cx.topic(), message);
                Ok(Flow::reply(Status::OK))
            }
            "typing" => {
                let Typing { typing } = payload.parse()?;
                cx.broadcast_from("typing", json!({"nick": self.nick, "typing": typing}))?;
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
