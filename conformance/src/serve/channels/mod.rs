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
    _membership: Membership,
}

impl Member {
    fn new<C: Channel<Info: From<Ctl>>>(cx: &Context<C>) -> Self {
        Self {
            topic: cx.topic().to_owned(),
            join_ref: reference(cx.join_ref()),
            _membership: app().enlist(cx.handle()),
        }
    }

    fn terminated(&self, end: End) {
        app().log(json!({
            "callback": "terminate",
            "topic": self.topic,
            "join_ref": self.join_ref,
            "reason": end.to_string(),
        }));
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
