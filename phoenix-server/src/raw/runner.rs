//! A raw socket with its context, behind interfaces without type parameters.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use phoenix_proto::Incoming;
use phoenix_proto::server::CloseCode;

use super::context::push;
use super::{Close, RawContext, RawFlow, RawSocket};
use crate::handle::{Link, Place};
use crate::shield::Shield;
use crate::transport::Control;
use crate::{ConnectInfo, Crash, End, Refused};

/// What a raw socket has to do next.
#[derive(Debug)]
pub(crate) enum Work {
    Init,
    Message(Incoming),
    Control(Control),
    Info(Box<dyn Any + Send>, Place),
}

/// A raw socket that was accepted but has no connection yet.
pub(crate) trait Fresh: Send {
    fn id(&self) -> Option<String>;

    fn start(self: Box<Self>, link: Arc<Link>) -> Box<dyn Runner>;
}

/// A raw socket between two callbacks.
pub(crate) trait Runner: Send {
    /// Runs one callback; what it sends is in the inbox when the future is done.
    fn run(self: Box<Self>, work: Work) -> Callback;

    /// Runs the last callback; `code` is that of the client's close frame.
    fn terminate(self: Box<Self>, end: End, code: Option<CloseCode>) -> BoxFuture<'static, ()>;
}

/// A callback that runs; it owns its socket meanwhile.
pub(crate) type Callback = BoxFuture<'static, (Box<dyn Runner>, Outcome)>;

/// How a callback ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Continue,
    Stop(Close),
    Crash,
}

/// A raw socket type without its type.
pub(crate) trait RawHandler: Send + Sync {
    /// The type of the socket, for people to read.
    fn name(&self) -> &'static str;

    fn connect(&self, info: ConnectInfo) -> BoxFuture<'static, Result<Box<dyn Fresh>, Refused>>;
}

/// The handler of a raw socket type.
pub(crate) fn handler<S: RawSocket>() -> Arc<dyn RawHandler> {
    Arc::new(TypedHandler::<S>(PhantomData))
}

struct TypedHandler<S>(PhantomData<fn() -> S>);

impl<S: RawSocket> RawHandler for TypedHandler<S> {
    fn name(&self) -> &'static str {
        std::any::type_name::<S>()
    }

    fn connect(&self, info: ConnectInfo) -> BoxFuture<'static, Result<Box<dyn Fresh>, Refused>> {
        async move {
            let socket: Box<dyn Fresh> = Box::new(Accepted(S::connect(info).await?));
            Ok(socket)
        }
        .boxed()
    }
}

struct Accepted<S>(S);

impl<S: RawSocket> Fresh for Accepted<S> {
    fn id(&self) -> Option<String> {
        self.0.id()
    }

    fn start(self: Box<Self>, link: Arc<Link>) -> Box<dyn Runner> {
        Box::new(Shield::new(Live { socket: self.0, cx: RawContext::new(Arc::clone(&link)), link }))
    }
}

struct Live<S: RawSocket> {
    socket: S,
    cx: RawContext<S>,
    link: Arc<Link>,
}

impl<S: RawSocket> Live<S> {
    async fn handle(&mut self, work: Work) -> Result<RawFlow, Crash> {
        match work {
            Work::Init => self.socket.init(&mut self.cx).await,
            Work::Message(message) => self.socket.handle_in(message, &mut self.cx).await,
            Work::Control(control) => self.socket.handle_control(control, &mut self.cx).await,
            Work::Info(info, place) => {
                drop(place);
                match info.downcast() {
                    Ok(info) => self.socket.handle_info(*info, &mut self.cx).await,
                    // Handles and subscriptions are typed by the socket, so that nothing else comes here.
                    Err(_) => Ok(RawFlow::CONTINUE),
                }
            }
        }
    }

    fn settle(&self, flow: RawFlow) -> Outcome {
        for frame in flow.first.into_iter().chain(flow.more) {
            // Through the inbox like all that goes out, for its order and its limits. Of a connection that is gone
            // the socket hears by its last callback.
            let _ = push(&self.link, frame);
        }
        flow.close.map_or(Outcome::Continue, Outcome::Stop)
    }
}

impl<S: RawSocket> Runner for Shield<Live<S>> {
    fn run(mut self: Box<Self>, work: Work) -> Callback {
        async move {
            let outcome = match AssertUnwindSafe(self.inner_mut().handle(work)).catch_unwind().await {
                Ok(Ok(flow)) => self.inner().settle(flow),
                Ok(Err(crash)) => crashed(&crash),
                Err(panic) => crashed(&Crash::from_panic(&*panic)),
            };
            (self as Box<dyn Runner>, outcome)
        }
        .boxed()
    }

    fn terminate(mut self: Box<Self>, end: End, code: Option<CloseCode>) -> BoxFuture<'static, ()> {
        async move {
            let live = self.inner_mut();
            live.cx.set_close_code(code);
            let last = AssertUnwindSafe(async { live.socket.terminate(end, &mut live.cx).await });
            if let Err(panic) = last.catch_unwind().await {
                crashed(&Crash::from_panic(&*panic));
            }
        }
        .boxed()
    }
}

fn crashed(crash: &Crash) -> Outcome {
    tracing::error!(%crash, "socket crashed");
    Outcome::Crash
}

impl Work {
    /// Whether the client sent it.
    pub(crate) fn is_received(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Control(_))
    }
}
