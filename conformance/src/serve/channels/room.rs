//! `room:*` and `froom:*`: chat rooms in which everybody sees who is there.

use std::marker::PhantomData;

use phoenix_server::{
    Channel, Context, Crash, End, Flow, JoinError, KeyPresence, Payload, Presence, Status, TrackError,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Member;
use crate::serve::app::Ctl;
use crate::serve::presence::{FETCHED, PRESENCE};
use crate::serve::sockets::AppSocket;

pub(super) struct Room<S> {
    member: Member,
    presence: Presence,
    user: String,
    device: Value,
    socket: PhantomData<S>,
}

/// What these channels tell themselves, and what control routes tell them.
pub(super) enum Info {
    AfterJoin,
    Ctl,
}

impl From<Ctl> for Info {
    fn from(_: Ctl) -> Self {
        Self::Ctl
    }
}

#[derive(Deserialize)]
struct NewMessage {
    body: Value,
}

#[derive(Deserialize)]
struct NewStatus {
    status: Value,
}

#[derive(Deserialize)]
struct Tracked {
    key: String,
    meta: Value,
}

#[derive(Deserialize)]
struct Untracked {
    key: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

impl<S: AppSocket> Channel for Room<S> {
    type Socket = S;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let params: Value = params.parse()?;
        cx.handle().send(Info::AfterJoin)?;
        let room = Self {
            member: Member::new(cx),
            presence: cx.presence(PRESENCE)?,
            user: user(&params),
            device: given(&params, "device").unwrap_or_else(|| "d".into()),
            socket: PhantomData,
        };
        Ok((room, Payload::EMPTY))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        if let Info::AfterJoin = info {
            let meta = json!({"device": self.device, "status": "online"});
            self.presence.track(cx, &self.user, meta)?;
            self.presence.push_state(cx).await?;
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
                cx.broadcast("new_msg", json!({"user": self.user, "body": body}))?;
                Ok(Flow::reply(Status::OK))
            }
            "status" => {
                let NewStatus { status } = payload.parse()?;
                let meta = json!({"device": self.device, "status": status});
                let phx_ref = self.presence.update(cx, &self.user, meta)?;
                Ok(Flow::ok(json!({"ref": phx_ref.to_string()})))
            }
            "track" => {
                let Tracked { key, meta } = payload.parse()?;
                match self.presence.track(cx, &key, meta) {
                    Ok(phx_ref) => Ok(Flow::ok(json!({"ref": phx_ref.to_string()}))),
                    Err(TrackError::Meta(error)) => Err(error.into()),
                    Err(error) => Ok(Flow::error(json!({"reason": error.to_string()}))),
                }
            }
            "untrack" => {
                let Untracked { key } = payload.parse()?;
                self.presence.untrack(cx, key.as_deref().unwrap_or(&self.user));
                Ok(Flow::reply(Status::OK))
            }
            "list" => Ok(Flow::ok(&self.presence.list(cx.topic()).await)),
            "get_by_key" => {
                let Key { key } = payload.parse()?;
                let presence: Option<KeyPresence> = self.presence.get_by_key(cx.topic(), &key).await;
                // An empty list stands for nobody, as in Phoenix.
                Ok(Flow::ok(match presence {
                    Some(presence) => json!({ "result": presence }),
                    None => json!({ "result": [] }),
                }))
            }
            _ => Err(Crash::unhandled(event)),
        }
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}

pub(super) struct FetchRoom<S> {
    member: Member,
    presence: Presence,
    user: String,
    socket: PhantomData<S>,
}

impl<S: AppSocket> Channel for FetchRoom<S> {
    type Socket = S;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        cx.handle().send(Info::AfterJoin)?;
        let room = Self {
            member: Member::new(cx),
            presence: cx.presence(FETCHED)?,
            user: user(&params.parse()?),
            socket: PhantomData,
        };
        Ok((room, Payload::EMPTY))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        if let Info::AfterJoin = info {
            self.presence.track(cx, &self.user, json!({"online_at": 1}))?;
            self.presence.push_state(cx).await?;
        }
        Ok(Flow::Continue)
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}

/// The user that a client says it is, as a key.
fn user(params: &Value) -> String {
    match given(params, "user") {
        Some(Value::String(user)) => user,
        Some(user) => user.to_string(),
        None => "anon".to_owned(),
    }
}

fn given(params: &Value, name: &str) -> Option<Value> {
    params.get(name).filter(|value| !value.is_null()).cloned()
}
