use std::future::poll_fn;

use async_nats::{
    Client, ConnectError, ConnectOptions, Event, RequestError, RequestErrorKind, ServerAddr, ServerError,
    SubscribeError,
};
use bytes::Bytes;
use parking_lot::Mutex;
use phoenix_server::{Connector, Inbound, Interests, Link, NodeName, Outbox, Port, Route};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::order::Position;
use crate::subject::Subjects;
use crate::subscriptions::Subscriptions;

/// Makes one connection after the other.
pub(crate) struct NatsConnector {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) options: ConnectOptions,
    pub(crate) subjects: Subjects,
    /// Tells the publications of this engine from those of others.
    pub(crate) publisher: u64,
    /// The position of the last publication.
    pub(crate) published: u64,
}

pub(crate) struct Connection {
    client: Client,
    subscriptions: Mutex<Subscriptions>,
    lost: mpsc::Receiver<Lost>,
}

/// Why there is no connection, or none any more.
#[derive(Debug, Error)]
pub(crate) enum Lost {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection was closed")]
    Closed,
    #[error("the server refused: {0}")]
    Refused(ServerError),
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    #[error("the server does not answer: {0}")]
    Silent(RequestError),
    #[error(transparent)]
    Publish(#[from] async_nats::PublishError),
}

/// How many publications are on their way at once.
const BATCH: usize = 256;

/// How much of the node's name the server is told for its own log, in characters.
const MAX_CLIENT_NAME: usize = 100;

impl Connector for NatsConnector {
    type Connection = Connection;
    type Error = Lost;

    async fn connect(&mut self, node: &NodeName, _: &Inbound, link: &Link) -> Result<Connection, Lost> {
        let (sender, mut lost) = mpsc::channel(1);
        let link = link.clone();
        let on_event = move |event| {
            handle_event(event, &link, &sender);
            std::future::ready(())
        };
        // It travels in a line of limited length.
        let name: String = node.as_str().chars().take(MAX_CLIENT_NAME).collect();
        let options = self.options.clone().name(name).event_callback(on_event);
        let client = options.connect(self.servers.as_slice()).await?;
        let mut subscriptions = Subscriptions::new();
        let own = self.subjects.of(&Route::Node(node.clone()));
        subscriptions.add(own.clone(), client.subscribe(own).await?);
        tokio::select! {
            answered = round_trip(&client, &self.subjects) => answered?,
            reason = lost.recv() => return Err(reason.unwrap_or(Lost::Closed)),
        }
        Ok(Connection { client, subscriptions: Mutex::new(subscriptions), lost })
    }

    async fn run(&mut self, connection: Connection, port: &mut Port) -> Result<(), Lost> {
        let Connection { client, subscriptions, mut lost } = connection;
        let Port { outbox, interests, inbound, .. } = port;
        outbox.limit_message(client.max_payload());
        let subjects = self.subjects.clone();
        let mut unsent = 0;
        let ended = tokio::select! {
            ended = self.publish(&client, outbox, &mut unsent) => ended,
            Err(error) = subscribe(&client, &subjects, &subscriptions, interests) => Err(error),
            () = tokio::task::unconstrained(receive(&subscriptions, inbound)) => Err(Lost::Closed),
            reason = lost.recv() => Err(reason.unwrap_or(Lost::Closed)),
        };
        outbox.unsent(unsent);
        ended
    }
}

impl NatsConnector {
    /// Ends when the PubSub does.
    async fn publish(
        &mut self,
        client: &Client,
        outbox: &mut Outbox,
        unsent: &mut usize,
    ) -> Result<(), Lost> {
        while let Some(batch) = outbox.recv(BATCH).await {
            *unsent = batch.len();
            for publication in batch {
                self.published += 1;
                let position = Position { publisher: self.publisher, number: self.published };
                let subject = self.subjects.of(&publication.to);
                client.publish_with_reply(subject, position.to_string(), publication.message).await?;
            }
            // Not `flush`, which may return before everything is written.
            round_trip(client, &self.subjects).await?;
            *unsent = 0;
        }
        Ok(())
    }
}

/// Subscribes to what this node is interested in. Never ends well.
async fn subscribe(
    client: &Client,
    subjects: &Subjects,
    subscriptions: &Mutex<Subscriptions>,
    interests: &mut Interests,
) -> Result<(), Lost> {
    loop {
        let changes = interests.recv().await;
        for topic in &changes.subscribe {
            let subject = subjects.of_topic(topic);
            let subscriber = client.subscribe(subject.clone()).await?;
            subscriptions.lock().add(subject, subscriber);
        }
        for topic in &changes.unsubscribe {
            let removed = subscriptions.lock().remove(&subjects.of_topic(topic));
            if let Some(mut subscriber) = removed {
                subscriber.unsubscribe().await.map_err(|_| Lost::Closed)?;
            }
        }
        round_trip(client, subjects).await?;
        interests.settled(&changes);
    }
}

/// Returns when the server has done what it was asked for before: it says at once that nobody is there to answer.
async fn round_trip(client: &Client, subjects: &Subjects) -> Result<(), Lost> {
    match client.request(subjects.nobody(), Bytes::new()).await {
        Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(Lost::Silent(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn receive(subscriptions: &Mutex<Subscriptions>, inbound: &Inbound) {
    loop {
        let round = poll_fn(|cx| subscriptions.lock().poll_receive(cx)).await;
        for received in round {
            inbound.deliver(&received.message);
        }
        // So that publications have their turn as well.
        tokio::task::yield_now().await;
    }
}

fn handle_event(event: Event, link: &Link, lost: &mpsc::Sender<Lost>) {
    let lost_by = match event {
        // Messages were dropped because they were not taken fast enough.
        Event::SlowConsumer(_) => return link.gap(),
        Event::ServerError(error) => Lost::Refused(error),
        Event::Disconnected | Event::Closed => Lost::Closed,
        _ => return,
    };
    // The first reason is the one.
    let _ = lost.try_send(lost_by);
}
