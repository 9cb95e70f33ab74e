//! `bench:*`: as little as possible, for load tests.

use std::marker::PhantomData;

use phoenix_server::{Channel, Context, Crash, Flow, JoinError, Payload, Socket};
use serde_json::{Map, Value, json};

pub(super) struct Bench<S>(PhantomData<S>);

impl<S: Socket> Channel for Bench<S> {
    type Socket = S;
    type Info = ();

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self(PhantomData), Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
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
                let mut payload: Map<String, Value> = payload.parse()?;
                let n = payload.remove("n").and_then(|n| n.as_u64()).ok_or_else(|| Crash::unhandled(event))?;
                for i in 1..=n {
                    payload.insert("i".to_owned(), i.into());
                    cx.broadcast("msg", Value::Object(payload.clone()))?;
                }
                Ok(Flow::ok(json!({"n": n})))
            }
            "noreply" => Ok(Flow::Continue),
            "binary" if payload.as_binary().is_some() => Ok(Flow::ok(payload)),
            _ => Err(Crash::unhandled(event)),
        }
    }
}
