//! `bench:*`: as little as possible, for load tests.

use std::marker::PhantomData;

use phoenix_server::{Channel, Context, Crash, Flow, JoinError, Payload, Socket};
use serde_json::json;
use serde_json::value::to_raw_value;

use super::echo::range_from_one;
use crate::serve::app::{Ctl, Membership, app};
use crate::serve::term::Fields;

pub(super) struct Bench<S> {
    _membership: Membership,
    socket: PhantomData<S>,
}

impl<S: Socket> Channel for Bench<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let membership = app().enlist(cx.handle(), Self::TRAP_EXIT);
        Ok((Self { _membership: membership, socket: PhantomData }, Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "echo" => Ok(Flow::ok(payload)),
            "bcast" => {
                cx.broadcast("msg", payload)?;
                Ok(Flow::Continue)
            }
            "bcast_from" => {
                cx.broadcast_from("msg", payload)?;
                Ok(Flow::Continue)
            }
            "burst" => {
                let mut fields: Fields = payload.parse()?;
                let n = fields.remove("n").ok_or_else(|| Crash::unhandled(event))?;
                let n: i64 = serde_json::from_str(n.get())?;
                for i in range_from_one(n) {
                    fields.insert("i".to_owned(), to_raw_value(&i)?);
                    cx.broadcast("msg", Payload::json(&fields)?)?;
                }
                Ok(Flow::ok(json!({"n": n})))
            }
            "noreply" => Ok(Flow::Continue),
            "binary" if payload.as_binary().is_some() => Ok(Flow::ok(payload)),
            _ => Err(Crash::unhandled(event)),
        }
    }
}
