//! `intercept:*`: broadcasts that pass through the channel.

use std::marker::PhantomData;

use phoenix_server::{Broadcast, Channel, Context, Crash, End, Flow, JoinError, Payload, Status};
use serde_json::Value;

use super::Member;
use crate::serve::app::Ctl;
use crate::serve::sockets::AppSocket;
use crate::serve::term::{self, Fields, Term};

pub(super) struct Intercept<S> {
    member: Member,
    name: Term,
    socket: PhantomData<S>,
}

impl<S: AppSocket> Channel for Intercept<S> {
    type Socket = S;
    type Info = Ctl;
    const INTERCEPTS: &'static [&'static str] = &["shout"];

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let name = match term::truthy(&params, "name")? {
            Some(name) => name,
            None => term::text("?")?,
        };
        Ok((Self { member: Member::new(cx), name, socket: PhantomData }, Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
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
        let mut fields: Fields = broadcast.payload.parse()?;
        if self.is_named(fields.get("drop")) {
            return Ok(Flow::Continue);
        }
        if self.is_named(fields.get("stop")) {
            return Ok(Flow::Stop);
        }
        fields.insert("seen_by".to_owned(), self.name.clone());
        cx.push("shout", Payload::json(&fields)?)?;
        Ok(Flow::Continue)
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}

impl<S> Intercept<S> {
    fn is_named(&self, name: Option<&Term>) -> bool {
        let value = |term: &Term| serde_json::from_str::<Value>(term.get()).ok();
        name.is_some_and(|name| name.get() == self.name.get() || value(name) == value(&self.name))
    }
}
