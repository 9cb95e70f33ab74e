//! `intercept:*`: broadcasts that pass through the channel.

use std::marker::PhantomData;

use phoenix_server::{Broadcast, Channel, Context, Crash, End, Flow, JoinError, Payload, Status};
use serde_json::{Map, Value};

use super::Member;
use crate::serve::app::Ctl;
use crate::serve::sockets::AppSocket;

pub(super) struct Intercept<S> {
    member: Member,
    name: Value,
    socket: PhantomData<S>,
}

impl<S: AppSocket> Channel for Intercept<S> {
    type Socket = S;
    type Info = Ctl;
    const INTERCEPTS: &'static [&'static str] = &["shout"];

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let mut params: Map<String, Value> = params.parse()?;
        let name = params.remove("name").filter(|name| !name.is_null()).unwrap_or_else(|| "?".into());
        Ok((Self { member: Member::new(cx), name, socket: PhantomData }, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match event {
            "shout" => cx.broadcast("shout", payload)?,
            "shout_from" => cx.broadcast_from("shout", payload)?,
            "plain" => cx.broadcast("plain", payload)?,
            "both" => {
                cx.broadcast("shout", payload.clone())?;
                cx.broadcast("plain", payload)?;
                return Ok(Flow::reply(Status::OK));
            }
            _ => return Err(Crash::unhandled(event)),
        }
        Ok(Flow::Continue)
    }

    async fn handle_out(&mut self, broadcast: &Broadcast, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        let mut payload: Map<String, Value> = broadcast.payload.parse()?;
        if payload.get("drop") == Some(&self.name) {
            return Ok(Flow::Continue);
        }
        if payload.get("stop") == Some(&self.name) {
            return Ok(Flow::Stop);
        }
        payload.insert("seen_by".to_owned(), self.name.clone());
        cx.push("shout", Value::Object(payload))?;
        Ok(Flow::Continue)
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}
