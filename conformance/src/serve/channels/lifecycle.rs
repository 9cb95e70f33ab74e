//! Channels that act by themselves around their join and their end: `selfstop:*`, `afterpush:*` and `trap:*`.

use std::marker::PhantomData;
use std::time::Duration;

use phoenix_server::{Channel, Context, Crash, End, Flow, JoinError, Payload};
use serde_json::json;

use super::Member;
use super::joins::echo;
use crate::serve::app::{Ctl, app};
use crate::serve::sockets::AppSocket;
use crate::serve::term;

/// Something that follows the join, or a control route.
pub(super) enum Info {
    Go,
    Ctl,
}

impl From<Ctl> for Info {
    fn from(_: Ctl) -> Self {
        Self::Ctl
    }
}

/// Stops by itself, in the way that its topic names.
pub(super) struct SelfStop<S>(Member, PhantomData<S>);

impl<S: AppSocket> Channel for SelfStop<S> {
    type Socket = S;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let handle = cx.handle();
        match term::at(&params, "ms")? {
            None => handle.send(Info::Go)?,
            Some(ms) => {
                let ms = serde_json::from_str(ms.get())?;
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    // The channel may be gone, as any receiver of a timer.
                    let _ = handle.send(Info::Go);
                });
            }
        }
        Ok((Self(Member::new(cx), PhantomData), Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        let how = cx.topic().strip_prefix("selfstop:").unwrap_or_default();
        self.0.ending(match how {
            "normal" | "push_then_stop" | "exit_normal" => ":normal",
            "shutdown" => ":shutdown",
            "tuple" => "{:shutdown, :because}",
            "raise" => r#"{%RuntimeError{message: "selfstop"}, []}"#,
            "boom" => ":boom",
            _ => "{:function_clause, []}",
        });
        match (info, how) {
            (Info::Go, "normal" | "shutdown" | "tuple") => Ok(Flow::Stop),
            (Info::Go, "raise") => panic!("selfstop"),
            (Info::Go, "exit_normal") => {
                // An exit of its own runs the last callback, one from outside does not.
                self.0.terminated(End::Crashed);
                cx.handle().abort()?;
                Ok(Flow::Continue)
            }
            (Info::Go, "push_then_stop") => {
                cx.push("bye", Payload::EMPTY)?;
                Ok(Flow::Stop)
            }
            (Info::Go | Info::Ctl, _) => Err(Crash::new("boom")),
        }
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.0.terminated(end);
    }
}

/// Pushes and broadcasts as soon as it is joined.
pub(super) struct AfterPush<S>(Member, PhantomData<S>);

impl<S: AppSocket> Channel for AfterPush<S> {
    type Socket = S;
    type Info = Info;

    async fn join(_: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        match cx.topic() {
            // Too early: an error.
            "afterpush:in_join" => cx.push("too_early", Payload::EMPTY)?,
            "afterpush:bcast_in_join" => cx.pubsub().broadcast(cx.topic(), "during_join", Payload::EMPTY)?,
            _ => cx.handle().send(Info::Go)?,
        }
        Ok((Self(Member::new(cx), PhantomData), Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match info {
            Info::Go => {
                cx.push("welcome", json!({"n": 1}))?;
                cx.broadcast("joined", json!({"n": 2}))?;
                Ok(Flow::Continue)
            }
            Info::Ctl => Err(Crash::new("no handler")),
        }
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.0.terminated(end);
    }
}

/// Insists on its last callback, in which it still talks.
pub(super) struct Trap<S>(Member, PhantomData<S>);

impl<S: AppSocket> Channel for Trap<S> {
    type Socket = S;
    type Info = Ctl;
    const TRAP_EXIT: bool = true;

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

    async fn terminate(&mut self, end: End, cx: &mut Context<Self>) {
        if end == End::Replaced {
            // To the original an exit signal is a message that it ignores: it goes on until it is killed.
            std::future::pending::<()>().await;
        }
        self.0.terminated(end);
        let farewell = cx
            .push("terminating", json!({"reason": super::reason(end)}))
            .and_then(|()| cx.broadcast("someone_left", Payload::EMPTY));
        if let Err(error) = farewell {
            app().log(json!({"callback": "terminate", "topic": cx.topic(), "error": error.to_string()}));
        }
    }
}
