//! The channels of the reference application.

mod bench;
mod echo;
mod intercept;
mod joins;
mod lifecycle;
mod room;

use std::sync::Arc;

use phoenix_server::{Broadcast, Channel, Context, End, Json, PayloadError, Ref, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::app::{Ctl, Membership, app};
use super::sockets::{AppSocket, BenchSocket};

/// The routes that all sockets but that for load tests share.
pub(super) fn shared<S: AppSocket>(router: &mut Router<S>) {
    router
        .channel::<echo::Echo<S>>("echo:*")
        .channel::<room::Room<S>>("room:*")
        .channel::<room::FetchRoom<S>>("froom:*")
        .channel::<joins::Deny<S>>("deny:*")
        .channel::<joins::JoinReply<S>>("joinreply:*")
        .channel::<joins::JoinCrash<S>>("joincrash:*")
        .channel::<joins::JoinBad<S>>("joinbad:*")
        .channel::<intercept::Intercept<S>>("intercept:*")
        .channel::<joins::SlowJoin<S>>("slowjoin:*")
        .channel::<lifecycle::SelfStop<S>>("selfstop:*")
        .channel::<lifecycle::AfterPush<S>>("afterpush:*")
        .channel::<joins::Silent<S>>("noinfo:*")
        .channel::<lifecycle::Trap<S>>("trap:*")
        .channel::<bench::Bench<S>>("bench:*")
        .channel::<joins::Plain<S>>("exact")
        .channel_with::<echo::Echo<S>>("assigned:*", echo::FromRoute("yes"));
}

/// The routes of the socket for load tests.
pub(super) fn bench(router: &mut Router<BenchSocket>) {
    router.channel::<bench::Bench<BenchSocket>>("bench:*");
}

/// What most channels have in common: control routes reach them, and their end is in the log.
struct Member {
    topic: String,
    join_ref: Value,
    reason: Option<&'static str>,
    membership: Option<Membership>,
}

impl Member {
    fn new<C: Channel<Info: From<Ctl>>>(cx: &Context<C>) -> Self {
        Self {
            topic: cx.topic().to_owned(),
            join_ref: reference(cx.join_ref()),
            reason: None,
            membership: Some(app().enlist(cx.handle(), C::TRAP_EXIT)),
        }
    }

    /// Control routes find channels by their subscription: without it they do not reach this one any more.
    fn unlist(&mut self) {
        self.membership = None;
    }

    /// Says why the channel is about to end, which the server does not distinguish as finely as the original.
    fn ending(&mut self, reason: &'static str) {
        self.reason = Some(reason);
    }

    fn terminated(&self, end: End) {
        app().log(json!({
            "callback": "terminate",
            "topic": self.topic,
            "join_ref": self.join_ref,
            "reason": self.reason.unwrap_or_else(|| reason(end)),
        }));
    }
}

/// The reason of an end in the notation of the original.
fn reason(end: End) -> &'static str {
    match end {
        End::Left => "{:shutdown, :left}",
        End::Stopped => ":normal",
        End::Crashed => "{%RuntimeError{}, []}",
        End::Replaced => "{:shutdown, :duplicate_join}",
        End::LocalClosed => "{:shutdown, :local_closed}",
        End::PeerClosed => "{:shutdown, :peer_closed}",
        End::IdleTimeout => "{:shutdown, :read_timeout}",
        End::Disconnected => "{:shutdown, :disconnected}",
        End::Draining => "{:shutdown, :draining}",
        End::ProtocolError => "{:shutdown, {:deserializing, :protocol_error}}",
        End::TooSlow => "{:shutdown, :too_slow}",
        End::Inactive => "{:shutdown, :inactive}",
        _ => ":internal",
    }
}

/// A reference as JSON.
fn reference(reference: Option<&Ref>) -> Value {
    reference.and_then(|reference| serde_json::from_str(reference.as_json()).ok()).unwrap_or_default()
}

/// What a channel pushes when it gets a broadcast of another topic.
fn forwarded(broadcast: &Arc<Broadcast>) -> Result<phoenix_server::Payload, PayloadError> {
    #[derive(Serialize)]
    struct Forwarded<'a> {
        topic: &'a str,
        event: &'a str,
        payload: &'a Json,
    }
    let payload = broadcast.payload.as_json().ok_or(PayloadError::Binary)?;
    phoenix_server::Payload::json(&Forwarded { topic: &broadcast.topic, event: &broadcast.event, payload })
}
