//! Channels that differ in how they are joined: `deny:*`, `joinreply:*`, `joincrash:*`, `joinbad:*`, `slowjoin:*`,
//! `noinfo:*` and `exact`.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use phoenix_server::{Channel, Context, Crash, End, Flow, JoinError, Json, Payload, PayloadError};
use serde::Serialize;
use serde_json::json;

use super::Member;
use crate::serve::app::Ctl;
use crate::serve::sockets::AppSocket;
use crate::serve::term;

/// Refuses every join.
pub(super) struct Deny<S>(PhantomData<S>);

impl<S: AppSocket> Channel for Deny<S> {
    type Socket = S;
    type Info = ();

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Err(JoinError::refuse(match cx.topic() {
            "deny:empty" => json!({}),
            "deny:string" => json!("nope"),
            _ => json!({"reason": "unauthorized"}),
        }))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }
}

/// The reply of [`JoinReply`].
#[derive(Serialize)]
struct Accepted<'a> {
    topic: &'a str,
    you_sent: &'a Json,
    n: u8,
}

/// Accepts with a payload.
pub(super) struct JoinReply<S>(Member, PhantomData<S>);

impl<S: AppSocket> Channel for JoinReply<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let reply = match cx.topic() {
            "joinreply:binary" => Payload::Binary(Bytes::from_static(&[1, 2, 3])),
            "joinreply:list" => json!([1, 2, 3]).into(),
            topic => {
                let you_sent = params.as_json().ok_or(PayloadError::Binary)?;
                Payload::json(&Accepted { topic, you_sent, n: 1 })?
            }
        };
        Ok((Self(Member::new(cx), PhantomData), reply))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.0.terminated(end);
    }
}

/// Fails in its join in several ways.
pub(super) struct JoinCrash<S>(PhantomData<S>);

impl<S: AppSocket> Channel for JoinCrash<S> {
    type Socket = S;
    type Info = ();

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        match cx.topic() {
            "joincrash:exit_normal" | "joincrash:exit_shutdown" => cx.handle().abort()?,
            "joincrash:throw" => {}
            _ => panic!("join raised"),
        }
        Err(JoinError::Crashed(Crash::new("thrown")))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }
}

/// Returns what is no answer.
pub(super) struct JoinBad<S>(PhantomData<S>);

impl<S: AppSocket> Channel for JoinBad<S> {
    type Socket = S;
    type Info = ();

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Err(JoinError::Crashed(Crash::new("not an answer")))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }
}

/// Takes its time to accept.
pub(super) struct SlowJoin<S>(Member, PhantomData<S>);

impl<S: AppSocket> Channel for SlowJoin<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let ms: u64 = match term::truthy(&params, "ms")? {
            Some(ms) => serde_json::from_str(ms.get())?,
            None => 500,
        };
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok((Self(Member::new(cx), PhantomData), json!({"slept": ms}).into()))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        _: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        echo(event, payload)
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.0.terminated(end);
    }
}

/// Handles nothing at all.
pub(super) struct Silent<S> {
    _member: Member,
    socket: PhantomData<S>,
}

impl<S: AppSocket> Channel for Silent<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self { _member: Member::new(cx), socket: PhantomData }, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }
}

/// Echoes, and nothing else.
pub(super) struct Plain<S>(Member, PhantomData<S>);

impl<S: AppSocket> Channel for Plain<S> {
    type Socket = S;
    type Info = Ctl;

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self(Member::new(cx), PhantomData), Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        _: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        echo(event, payload)
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.0.terminated(end);
    }
}

/// The handler of a channel that only echoes.
pub(super) fn echo(event: &str, payload: Payload) -> Result<Flow, Crash> {
    if event == "echo" { Ok(Flow::ok(payload)) } else { Err(Crash::unhandled(event)) }
}
