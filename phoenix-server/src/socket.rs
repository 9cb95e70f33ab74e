use std::any::Any;
use std::future::Future;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use phoenix_proto::{PatternError, Payload, RouteId, Routes};

use crate::handle::Link;
use crate::raw::RawHandler;
use crate::runner::{self, Callback};
use crate::{Channel, ConnectInfo, Context, Refused};

/// Who connects: authenticates a connection and says which channels it offers (FEATURES A).
///
/// One value lives as long as its connection and is shared by the connection's channels.
pub trait Socket: Send + Sync + Sized + 'static {
    /// Accepts or refuses a connection, before the WebSocket upgrade is answered (FEATURES A1, A4–A6).
    ///
    /// # Errors
    /// [`Refused`] carries the HTTP answer: 403 without a body by default. A panic is answered with 500.
    fn connect(info: ConnectInfo) -> impl Future<Output = Result<Self, Refused>> + Send;

    /// The name under which the connections of this socket can be disconnected, the same for several
    /// connections if that is wanted; `None` for an anonymous one (FEATURES A3, A33).
    fn id(&self) -> Option<String> {
        None
    }

    /// Declares which topics are served by which channels; the first match wins (FEATURES A13).
    fn channels(router: &mut Router<Self>);
}

/// The channels of a socket type, by topic pattern.
pub struct Router<S> {
    routes: Routes,
    joins: Vec<Box<JoinRoute<S>>>,
    error: Option<PatternError>,
}

type JoinRoute<S> = dyn Fn(Arc<Link>, Arc<S>, Payload) -> Callback + Send + Sync;

impl<S: Socket> Router<S> {
    /// Serves the topics that match `pattern`: a literal topic, or a prefix with one `*` at its end.
    ///
    /// A malformed pattern keeps the endpoint from being built.
    pub fn channel<C: Channel<Socket = S>>(&mut self, pattern: &str) -> &mut Self {
        self.route::<C>(pattern, None)
    }

    /// The same with data for [`Context::route_data`], so that one channel type can serve several patterns
    /// in different ways (FEATURES A14).
    pub fn channel_with<C: Channel<Socket = S>>(
        &mut self,
        pattern: &str,
        data: impl Any + Send + Sync,
    ) -> &mut Self {
        self.route::<C>(pattern, Some(Arc::new(data)))
    }

    fn route<C: Channel<Socket = S>>(
        &mut self,
        pattern: &str,
        data: Option<Arc<dyn Any + Send + Sync>>,
    ) -> &mut Self {
        match pattern.parse() {
            Ok(pattern) => {
                self.routes.add(pattern);
                self.joins.push(Box::new(move |link, socket, params| {
                    runner::join::<C>(Context::new(link, socket, data.clone()), params)
                }));
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }
}

/// What an endpoint mounts.
#[derive(Clone)]
pub(crate) enum Mounted {
    Channels(Arc<dyn Handler>),
    Raw(Arc<dyn RawHandler>),
}

impl Mounted {
    /// The type of the socket, for people to read.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Channels(handler) => handler.name(),
            Self::Raw(handler) => handler.name(),
        }
    }
}

/// A socket type without its type.
pub(crate) trait Handler: Send + Sync {
    /// The type of the socket, for people to read.
    fn name(&self) -> &'static str;

    fn routes(&self) -> &Arc<Routes>;

    fn connect(self: Arc<Self>, info: ConnectInfo)
    -> BoxFuture<'static, Result<Arc<dyn Connected>, Refused>>;
}

/// A connected socket without its type.
pub(crate) trait Connected: Send + Sync {
    fn id(&self) -> Option<String>;

    /// Alive as long as the socket is.
    fn watch(&self) -> Weak<dyn Any + Send + Sync>;

    fn join(&self, route: RouteId, link: Arc<Link>, params: Payload) -> Callback;
}

struct SocketHandler<S> {
    routes: Arc<Routes>,
    joins: Vec<Box<JoinRoute<S>>>,
}

struct ConnectedSocket<S> {
    socket: Arc<S>,
    handler: Arc<SocketHandler<S>>,
}

/// The handler of a socket type, its routes validated.
pub(crate) fn handler<S: Socket>() -> Result<Arc<dyn Handler>, PatternError> {
    Ok(typed_handler::<S>()?)
}

/// A socket of the application's own making, with its routes.
pub(crate) fn connected<S: Socket>(socket: S) -> Result<(Arc<Routes>, Arc<dyn Connected>), PatternError> {
    let handler = typed_handler::<S>()?;
    let routes = Arc::clone(&handler.routes);
    Ok((routes, Arc::new(ConnectedSocket { socket: Arc::new(socket), handler })))
}

fn typed_handler<S: Socket>() -> Result<Arc<SocketHandler<S>>, PatternError> {
    let mut router = Router::<S> { routes: Routes::default(), joins: Vec::new(), error: None };
    S::channels(&mut router);
    match router.error {
        Some(error) => Err(error),
        None => Ok(Arc::new(SocketHandler { routes: Arc::new(router.routes), joins: router.joins })),
    }
}

impl<S: Socket> Handler for SocketHandler<S> {
    fn name(&self) -> &'static str {
        std::any::type_name::<S>()
    }

    fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    fn connect(
        self: Arc<Self>,
        info: ConnectInfo,
    ) -> BoxFuture<'static, Result<Arc<dyn Connected>, Refused>> {
        async move {
            let socket = Arc::new(S::connect(info).await?);
            Ok(Arc::new(ConnectedSocket { socket, handler: self }) as Arc<dyn Connected>)
        }
        .boxed()
    }
}

impl<S: Socket> Connected for ConnectedSocket<S> {
    fn id(&self) -> Option<String> {
        self.socket.id()
    }

    fn watch(&self) -> Weak<dyn Any + Send + Sync> {
        let weak: Weak<S> = Arc::downgrade(&self.socket);
        weak
    }

    fn join(&self, route: RouteId, link: Arc<Link>, params: Payload) -> Callback {
        self.handler.joins[route.index()](link, Arc::clone(&self.socket), params)
    }
}
