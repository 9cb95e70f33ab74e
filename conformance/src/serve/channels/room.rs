//! `room:*` and `froom:*`: chat rooms in which everybody sees who is there.

use std::marker::PhantomData;

use phoenix_server::{
    Channel, Context, Crash, End, Flow, JoinError, KeyPresence, Payload, Presence, Status, TrackError,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::Member;
use crate::serve::app::Ctl;
use crate::serve::presence::{FETCHED, PRESENCE};
use crate::serve::sockets::AppSocket;
use crate::serve::term::{self, Term};

pub(super) struct Room<S> {
    member: Member,
    presence: Presence,
    user: Term,
    device: Term,
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

impl<S: AppSocket> Channel for Room<S> {
    type Socket = S;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let (user, device) = (given(&params, "user", "anon")?, given(&params, "device", "d")?);
        cx.handle().send(Info::AfterJoin)?;
        let room = Self {
            member: Member::new(cx),
            presence: cx.presence(PRESENCE)?,
            user,
            device,
            socket: PhantomData,
        };
        Ok((room, Payload::EMPTY))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        if let Info::Ctl = info {
            return Err(Crash::new("no clause for a control message"));
        }
        let meta = json!({"device": value(&self.device)?, "status": "online"});
        self.presence.track(cx, &key(&self.user), meta)?;
        self.presence.push_state(cx).await?;
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
                let (user, body) = (&self.user, term::matched(&payload, "body", event)?);
                cx.broadcast("new_msg", Payload::json(&Said { user, body: &body })?)?;
                Ok(Flow::reply(Status::OK))
            }
            "status" => {
                let status = value(&term::matched(&payload, "status", event)?)?;
                let meta = json!({"device": value(&self.device)?, "status": status});
                let phx_ref = self.presence.update(cx, &key(&self.user), meta)?;
                Ok(Flow::ok(json!({"ref": phx_ref.to_string()})))
            }
            "track" => {
                let name = key(&term::matched(&payload, "key", event)?);
                let meta = value(&term::matched(&payload, "meta", event)?)?;
                match self.presence.track(cx, &name, meta) {
                    Ok(phx_ref) => Ok(Flow::ok(json!({"ref": phx_ref.to_string()}))),
                    Err(TrackError::Meta(error)) => Err(error.into()),
                    Err(error) => Ok(Flow::error(json!({"reason": error.to_string()}))),
                }
            }
            "untrack" => {
                let name = term::truthy(&payload, "key")?;
                self.presence.untrack(cx, &key(name.as_ref().unwrap_or(&self.user)));
                Ok(Flow::reply(Status::OK))
            }
            "list" => Ok(Flow::ok(&self.presence.list(cx.topic()).await)),
            "get_by_key" => {
                let name = key(&term::matched(&payload, "key", event)?);
                let presence: Option<KeyPresence> = self.presence.get_by_key(cx.topic(), &name).await;
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
            user: key(&given(&params, "user", "anon")?),
            socket: PhantomData,
        };
        Ok((room, Payload::EMPTY))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        if let Info::Ctl = info {
            return Err(Crash::new("no clause for a control message"));
        }
        self.presence.track(cx, &self.user, json!({"online_at": 1}))?;
        self.presence.push_state(cx).await?;
        Ok(Flow::Continue)
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}

/// A message of the room.
#[derive(Serialize)]
struct Said<'a> {
    user: &'a Term,
    body: &'a Term,
}

/// `payload[name] || default`
fn given(payload: &Payload, name: &str, default: &str) -> Result<Term, JoinError> {
    match term::truthy(payload, name)? {
        Some(value) => Ok(value),
        None => Ok(term::text(default)?),
    }
}

fn value(term: &Term) -> Result<Value, serde_json::Error> {
    serde_json::from_str(term.get())
}

/// The key of a presence: the characters of a text, the JSON text of anything else.
fn key(term: &Term) -> String {
    serde_json::from_str(term.get()).unwrap_or_else(|_| term.get().to_owned())
}
