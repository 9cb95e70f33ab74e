//! One channel with its context, behind an interface without type parameters.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use phoenix_proto::server::{ChannelId, Credit};
use phoenix_proto::{Broadcast, Event, Payload, Ref, Status};
use tracing::{Instrument, Level, Span, level_enabled};

use crate::handle::Place;
use crate::shield::Shield;
use crate::{Channel, Context, Crash, End, Flow, JoinError};

/// What a channel has to do next.
#[derive(Debug)]
pub(crate) enum Work {
    Message { event: Event, reference: Option<Ref>, payload: Payload, credit: Credit },
    Leave { reference: Option<Ref>, credit: Credit },
    Broadcast(Arc<Broadcast>, Place),
    Info(Box<dyn Any + Send>, Place),
}

/// A channel between two callbacks.
pub(crate) trait Runner: Send {
    /// Runs one callback; what it sends is in the inbox when the future is done.
    fn run(self: Box<Self>, channel: ChannelId, work: Work) -> Callback;

    /// Runs the last callback.
    fn terminate(self: Box<Self>, channel: ChannelId, end: End) -> Callback;

    fn traps_exit(&self) -> bool;
}

/// A callback that runs; it owns its channel meanwhile.
pub(crate) type Callback = BoxFuture<'static, Done>;

/// What a callback came to.
pub(crate) enum Done {
    Joined(ChannelId, Joined),
    Ran(ChannelId, Box<dyn Runner>, Outcome),
    Terminated(ChannelId),
}

/// How a callback ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Continue,
    Stop(End),
    Crash,
}

/// What became of a join: the channel and its reply, or why not.
pub(crate) type Joined = Result<(Box<dyn Runner>, Payload), JoinError>;

/// Runs the join callback of a channel type.
pub(crate) fn join<C: Channel>(cx: Context<C>, params: Payload) -> Callback {
    let span = level_enabled!(LEVEL).then(|| tracing::span!(LEVEL, "channel", topic = cx.topic()));
    let callback = async move {
        let channel = cx.channel();
        let joined = live(cx, params).await;
        if let Err(JoinError::Crashed(crash)) = &joined {
            tracing::error!(%crash, "join crashed");
        }
        Done::Joined(channel, joined)
    };
    boxed(callback, span)
}

async fn live<C: Channel>(mut cx: Context<C>, params: Payload) -> Joined {
    let watch = cx.stopwatch(C::LOG_JOIN, &params);
    let joined = AssertUnwindSafe(async { C::join(params, &mut cx).await }).catch_unwind().await;
    if let (Some((watch, params)), Ok(Ok(_) | Err(JoinError::Refused(_)))) = (&watch, &joined) {
        cx.diagnostics().channel_joined(watch, cx.site(), params, matches!(joined, Ok(Ok(_))));
    }
    let (channel, reply) = joined.map_err(|panic| JoinError::Crashed(Crash::from_panic(&*panic)))??;
    cx.joined();
    Ok((Box::new(Shield::new(Live { channel, cx, leaving: None })), reply))
}

/// Of the spans of callbacks. Only made when it is enabled: even an unused span costs something with each poll.
const LEVEL: Level = Level::DEBUG;

fn boxed(callback: impl Future<Output = Done> + Send + 'static, span: Option<Span>) -> Callback {
    match span {
        Some(span) => callback.instrument(span).boxed(),
        None => callback.boxed(),
    }
}

struct Live<C: Channel> {
    channel: C,
    cx: Context<C>,
    /// That of the message by which the client left, until the last callback is done.
    leaving: Option<Credit>,
}

impl<C: Channel> Live<C> {
    async fn handle(&mut self, work: Work) -> Result<Outcome, Crash> {
        match work {
            // The credit is given back when the message is done with.
            Work::Message { event, reference, payload, credit: _credit } => {
                self.cx.begin_message(reference);
                let watch = self.cx.stopwatch(C::LOG_HANDLE_IN, &payload);
                let flow = self.channel.handle_in(event.as_str(), payload, &mut self.cx).await?;
                if let Some((watch, payload)) = &watch {
                    let (site, reference) = (self.cx.site(), self.cx.reference());
                    self.cx.diagnostics().channel_handled_in(watch, site, event.as_str(), reference, payload);
                }
                let outcome = match flow {
                    Flow::Reply(status, payload) => {
                        self.cx.reply(status, payload)?;
                        Outcome::Continue
                    }
                    Flow::StopWith(status, payload) => {
                        self.cx.reply(status, payload)?;
                        Outcome::Stop(End::Stopped)
                    }
                    Flow::Continue | Flow::Stop => silent(&flow),
                };
                self.cx.end_message();
                Ok(outcome)
            }
            Work::Leave { reference, credit } => {
                self.leaving = Some(credit);
                self.cx.begin_message(reference);
                self.cx.reply(Status::OK, Payload::EMPTY)?;
                self.cx.end_message();
                Ok(Outcome::Stop(End::Left))
            }
            Work::Broadcast(broadcast, place) => {
                drop(place);
                self.channel.handle_out(&broadcast, &mut self.cx).await.map(|flow| silent(&flow))
            }
            Work::Info(info, place) => {
                drop(place);
                match info.downcast() {
                    Ok(info) => self.channel.handle_info(*info, &mut self.cx).await.map(|flow| silent(&flow)),
                    // Handles and subscriptions are typed by the channel, so that nothing else comes here.
                    Err(_) => Ok(Outcome::Continue),
                }
            }
        }
    }
}

/// What a result means where there is no message to reply to.
fn silent(flow: &Flow) -> Outcome {
    match flow {
        Flow::Continue | Flow::Reply(..) => Outcome::Continue,
        Flow::Stop | Flow::StopWith(..) => Outcome::Stop(End::Stopped),
    }
}

impl<C: Channel> Runner for Shield<Live<C>> {
    fn run(mut self: Box<Self>, channel: ChannelId, work: Work) -> Callback {
        let span = level_enabled!(LEVEL)
            .then(|| tracing::span!(LEVEL, "channel", topic = self.inner().cx.topic(), event = work.name()));
        let callback = async move {
            let outcome = match AssertUnwindSafe(self.inner_mut().handle(work)).catch_unwind().await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(crash)) => crashed(&crash),
                Err(panic) => crashed(&Crash::from_panic(&*panic)),
            };
            Done::Ran(channel, self, outcome)
        };
        boxed(callback, span)
    }

    fn terminate(mut self: Box<Self>, channel: ChannelId, end: End) -> Callback {
        let span = level_enabled!(LEVEL)
            .then(|| tracing::span!(LEVEL, "channel", topic = self.inner().cx.topic(), %end));
        let callback = async move {
            let live = self.inner_mut();
            let last = AssertUnwindSafe(live.channel.terminate(end, &mut live.cx));
            if let Err(panic) = last.catch_unwind().await {
                crashed(&Crash::from_panic(&*panic));
            }
            Done::Terminated(channel)
        };
        boxed(callback, span)
    }

    fn traps_exit(&self) -> bool {
        C::TRAP_EXIT
    }
}

fn crashed(crash: &Crash) -> Outcome {
    tracing::error!(%crash, "channel crashed");
    Outcome::Crash
}

impl Work {
    fn name(&self) -> &str {
        match self {
            Self::Message { event, .. } => event.as_str(),
            Self::Leave { .. } => "phx_leave",
            Self::Broadcast(broadcast, _) => &broadcast.event,
            Self::Info(..) => "(info)",
        }
    }
}
