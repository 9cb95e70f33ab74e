//! A connection by long polling.

use std::future::{Future, pending};
use std::pin::Pin;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::Authority;
use http::{Request, Uri};
use http_body_util::Full;
use phoenix_proto::client::longpoll::{Command, Event, LongPoll, Method, RequestId};
use phoenix_proto::client::{Closed, ConnectRequest};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::http::HttpConnection;
use super::{Fact, Link, Order};
use crate::wire::WireEvent;

/// Runs a connection to its end.
pub(super) async fn run(link: &Link, request: &ConnectRequest, mut orders: mpsc::Receiver<Order>) -> Closed {
    let timeout = link.environment.long_poll_timeout;
    let mut machine = LongPoll::new(request, timeout, Instant::now().into_std());
    let mut polls = Lane::new(link);
    let mut posts = Lane::new(link);
    loop {
        while let Some(command) = machine.poll_command(Instant::now().into_std()) {
            match command {
                Command::Request(request) => {
                    let lane = if request.method == Method::Get { &mut polls } else { &mut posts };
                    lane.start(link, request);
                }
                Command::Abort(request) => {
                    polls.abort(request);
                    posts.abort(request);
                }
            }
        }
        while let Some(event) = machine.poll_event() {
            match event {
                Event::Opened => link.report(Fact::Open).await,
                Event::Message(message) => link.report(Fact::Frame(message)).await,
                Event::Closed(closed) => return closed,
            }
        }
        let deadline = machine.poll_timeout().map(Instant::from_std);
        tokio::select! {
            (id, body) = polls.answer() => {
                machine.handle_response(id, body.as_deref(), Instant::now().into_std());
            }
            (id, body) = posts.answer() => {
                machine.handle_response(id, body.as_deref(), Instant::now().into_std());
            }
            order = orders.recv(), if !machine.is_congested() => match order {
                Some(Order::Send(message)) => {
                    machine.send(message);
                    // What is ordered together leaves together.
                    while !machine.is_congested() && let Ok(order) = orders.try_recv() {
                        match order {
                            Order::Send(message) => machine.send(message),
                            Order::Close { .. } => machine.close(),
                        }
                    }
                }
                Some(Order::Close { .. }) => machine.close(),
                // The driver is gone.
                None => return Closed::failed(),
            },
            () = until(deadline) => machine.handle_timeout(Instant::now().into_std()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// The connection, to be used again, and the body if there is one.
type Answer = (HttpConnection, Option<Bytes>);

type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One kept connection and the request on it, if there is one.
struct Lane {
    idle: Option<HttpConnection>,
    running: Option<(RequestId, Running)>,
}

impl Lane {
    fn new(link: &Link) -> Self {
        Self { idle: Some(HttpConnection::new(link.environment.connector.clone())), running: None }
    }

    fn start(&mut self, link: &Link, request: phoenix_proto::client::longpoll::Request) {
        let connector = &link.environment.connector;
        let connection = self.idle.take().unwrap_or_else(|| HttpConnection::new(connector.clone()));
        let id = request.id;
        self.running = Some((id, Box::pin(execute(link.clone(), connection, request))));
    }

    fn abort(&mut self, request: RequestId) {
        if self.running.as_ref().is_some_and(|(id, _)| *id == request) {
            self.running = None;
        }
    }

    /// The answer to the request that is running; none without one. Dropping the future loses nothing.
    async fn answer(&mut self) -> (RequestId, Option<Bytes>) {
        let Some((id, running)) = &mut self.running else { return pending().await };
        let id = *id;
        let (connection, body) = running.await;
        self.idle = Some(connection);
        self.running = None;
        (id, body)
    }
}

async fn execute(
    link: Link,
    mut connection: HttpConnection,
    request: phoenix_proto::client::longpoll::Request,
) -> Answer {
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
    };
    let mut builder = Request::builder().uri(request.url.as_str()).method(method);
    // What would be added below is told to the observer too.
    if let Some(authority) = builder.uri_ref().and_then(Uri::authority).map(Authority::to_string) {
        builder = builder.header(HOST, authority);
    }
    for (name, value) in &request.headers {
        builder = builder.header(*name, value.as_str());
    }
    if request.method == Method::Post {
        builder = builder.header(CONTENT_LENGTH, request.body.len());
    }
    let head = match builder.body(()) {
        Ok(head) => head,
        Err(error) => {
            tracing::debug!(%error, "a request cannot be made");
            return (connection, None);
        }
    };
    let method = head.method().clone();
    link.observe(&WireEvent::Request { upgrade: false, request: &head, body: &request.body });
    match connection.execute(head.map(|()| Full::new(request.body))).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let response = http::Response::from_parts(parts, ());
            let method = &method;
            link.observe(&WireEvent::Response { method, upgrade: false, response: &response, body: &body });
            (connection, Some(body))
        }
        Err(error) => {
            tracing::debug!(error, "a request failed");
            (connection, None)
        }
    }
}
