//! `room:*` and `froom:*`: chat rooms.

use std::marker::PhantomData;

use phoenix_server::{Channel, Context, Crash, End, Flow, JoinError, Payload, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Member;
use crate::serve::app::Ctl;
use crate::serve::sockets::AppSocket;

pub(super) struct Room<S> {
    member: Member,
    user: Value,
    socket: PhantomData<S>,
}

#[derive(Deserialize)]
struct NewMessage {
    body: Value,
}

impl<S: AppSocket> Channel for Room<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self { member: Member::new(cx), user: user(&params)?, socket: PhantomData }, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match event {
            "new_msg" => {
                let NewMessage { body } = payload.parse()?;
                cx.broadcast("new_msg", json!({"user": self.user, "body": body}))?;
                Ok(Flow::reply(Status::OK))
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
    socket: PhantomData<S>,
}

impl<S: AppSocket> Channel for FetchRoom<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self { member: Member::new(cx), socket: PhantomData }, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}

/// The user that a client says it is.
fn user(params: &Payload) -> Result<Value, JoinError> {
    let params: Value = params.parse()?;
    Ok(params.get("user").filter(|user| !user.is_null()).cloned().unwrap_or_else(|| "anon".into()))
}
