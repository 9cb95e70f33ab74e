//! The handle of a channel.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use phoenix_proto::client::{ChannelId, ChannelState, PushError as Refused, PushOutcome};
use phoenix_proto::presence::PresenceSyncConfig;
use phoenix_proto::{Message, Payload, Ref, Status, Text};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::Reply;
use crate::error::{JoinError, PushError};
use crate::events::{ChannelEvent, Events, events};
use crate::outcome::Outcome;
use crate::params::Params;
use crate::presence::Presence;
use crate::shared::{CallbackId, Dropped, Encoded, Slot};
use crate::socket::Socket;

/// A topic of a socket, joined and kept joined.
///
/// It is a handle: clones are the same channel. Dropping the last one leaves the channel, unless a stream of
/// its [`events`](Self::events) is still there; callbacks do not keep it.
#[derive(Clone)]
pub struct Channel {
    handle: Arc<Handle>,
}

/// Leaves the channel when the last handle is gone.
struct Handle {
    id: ChannelId,
    topic: Text,
    socket: Socket,
}

impl Channel {
    /// Joins. The call does it; the future tells how the first attempt ends.
    ///
    /// The channel goes on trying after a failure, and rejoins whenever it has lost its connection or has
    /// crashed on the server, until it is left. Without a connection the join waits for one. Another channel of
    /// this socket on the same topic is left.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join(&self) -> Outcome<Result<Reply, JoinError>> {
        self.join_with(None)
    }

    /// Joins with another timeout than that of the socket, which is then also that of its pushes.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join_within(&self, timeout: Duration) -> Outcome<Result<Reply, JoinError>> {
        self.join_with(Some(timeout))
    }

    /// Pushes an event with a JSON payload. The call sends it, at once or as soon as the channel is joined; the
    /// future tells the answer.
    ///
    /// Dropping the future does not take the push back. A push that was sent is never sent again, also not
    /// after a reconnect.
    ///
    /// # Errors
    /// [`PushError`]; an answer of status `error` is [`PushError::Refused`].
    pub fn push<T: Serialize + ?Sized>(
        &self,
        event: impl Into<Text>,
        payload: &T,
    ) -> Outcome<Result<Reply, PushError>> {
        self.push_encoded(event.into(), Payload::json(payload), None)
    }

    /// Pushes an event with raw bytes; as [`push`](Self::push) otherwise.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn push_binary(
        &self,
        event: impl Into<Text>,
        data: impl Into<Bytes>,
    ) -> Outcome<Result<Reply, PushError>> {
        self.push_encoded(event.into(), Ok(Payload::Binary(data.into())), None)
    }

    /// Pushes an event with any payload, and with another timeout than that of the channel.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn push_within(
        &self,
        event: impl Into<Text>,
        payload: Payload,
        timeout: Duration,
    ) -> Outcome<Result<Reply, PushError>> {
        self.push_encoded(event.into(), Ok(payload), Some(timeout))
    }

    /// Leaves. The call closes the channel at once and tells the server; the future waits for its answer.
    ///
    /// # Errors
    /// [`PushError`]; the channel is closed all the same.
    pub fn leave(&self) -> Outcome<Result<Reply, PushError>> {
        let ended = self.handle.socket.shared().act(|core, now| {
            let push = core.machine.leave(self.handle.id, None, now).ok_or(PushError::Closed)?;
            Ok::<_, PushError>(core.wait_for(push))
        });
        Outcome::new(async { outcome(ended?).await })
    }

    /// What happens to the channel from now on, messages included.
    ///
    /// A stream made before [`join`](Self::join) misses nothing.
    pub fn events(&self) -> Events<ChannelEvent> {
        let receiver = self.handle.socket.shared().with(|core| {
            // Of a channel that is over, the stream is over as well.
            core.channels
                .get(&self.handle.id)
                .map_or_else(|| tokio::sync::broadcast::channel(1).1, |slot| slot.events.subscribe())
        });
        events(receiver, self.clone())
    }

    /// Calls a function for every message with this event, in the order of arrival.
    ///
    /// Callbacks are called by the task of the socket, so they must not block; a panic is logged and has no
    /// further effect. Pushing from a callback is fine.
    pub fn on(
        &self,
        event: impl Into<Text>,
        callback: impl Fn(&Message) + Send + Sync + 'static,
    ) -> CallbackId {
        let event = event.into();
        self.on_event(move |happened| {
            if let ChannelEvent::Message(message) = happened
                && message.event == *event
            {
                callback(message);
            }
        })
    }

    /// Calls a function for everything that happens to the channel; as [`on`](Self::on) otherwise.
    pub fn on_event(&self, callback: impl Fn(&ChannelEvent) + Send + Sync + 'static) -> CallbackId {
        self.on_told(move |event, _| callback(event))
    }

    /// As [`on_event`](Self::on_event), with the reference of the join that a message is for.
    pub(crate) fn on_told(
        &self,
        callback: impl Fn(&ChannelEvent, Option<&Ref>) + Send + Sync + 'static,
    ) -> CallbackId {
        self.handle.socket.shared().with(|core| {
            let Some(slot) = core.channels.get_mut(&self.handle.id) else { return CallbackId(0) };
            slot.last_callback += 1;
            let id = CallbackId(slot.last_callback);
            slot.callbacks.push((id, Arc::new(callback)));
            id
        })
    }

    /// Does not call a callback any more; harmless when it is none of this channel.
    pub fn off(&self, callback: CallbackId) {
        self.handle.socket.shared().with(|core| {
            core.remove_callback(self.handle.id, callback);
        });
    }

    /// The presences of this channel, from the next `presence_state` on.
    ///
    /// Made before [`join`](Self::join), it misses nothing.
    pub fn presence(&self) -> Presence {
        self.presence_with(PresenceSyncConfig::default())
    }

    /// The presences of this channel, told by events of other names.
    pub fn presence_with(&self, config: PresenceSyncConfig) -> Presence {
        Presence::new(self.clone(), config, self.handle.socket.shared().event_buffer)
    }

    /// The topic.
    pub fn topic(&self) -> &Text {
        &self.handle.topic
    }

    /// The state; `Closed` before the join and when the channel is over.
    pub fn state(&self) -> ChannelState {
        self.handle.socket.shared().with(|core| core.machine.channel_state(self.handle.id))
    }

    /// The reference of the present join, which tells a presence state of this join from an earlier one.
    pub fn join_ref(&self) -> Option<Ref> {
        self.handle.socket.shared().with(|core| core.machine.join_ref(self.handle.id))
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.handle.socket
    }

    /// As [`off`](Self::off), but without a wait for the core: for drops.
    pub(crate) fn drop_callback(&self, callback: CallbackId) {
        self.handle.socket.shared().drop_handle(Dropped::Callback(self.handle.id, callback));
    }

    pub(crate) fn new(socket: Socket, topic: Text, params: Params) -> Self {
        let shared = socket.shared();
        let buffer = shared.event_buffer;
        let id = shared.with(|core| {
            let id = core.machine.channel(topic.clone(), params.into_source());
            if !core.ended {
                core.channels.insert(id, Slot::new(buffer));
            }
            id
        });
        Self { handle: Arc::new(Handle { id, topic, socket }) }
    }

    fn join_with(&self, timeout: Option<Duration>) -> Outcome<Result<Reply, JoinError>> {
        use phoenix_proto::client::{CloseCause, JoinError as Refused};

        let started = self.handle.socket.shared().act(|core, now| {
            let limit = timeout.unwrap_or_else(|| core.machine.config().timeout);
            match core.machine.join(self.handle.id, timeout, now) {
                Ok(()) => {}
                Err(Refused::JoinedBefore) => return Err(JoinError::JoinedBefore),
                Err(_) => return Err(JoinError::Closed(CloseCause::Left)),
            }
            let (sender, ended) = oneshot::channel();
            if let Some(slot) = core.channels.get_mut(&self.handle.id) {
                slot.join = Some(sender);
            }
            Ok((ended, now.checked_add(limit)))
        });
        Outcome::new(async {
            let (ended, deadline) = started?;
            let gone = || Err(JoinError::Closed(CloseCause::Left));
            match deadline {
                // The machine starts the time over with every attempt; this is the limit of them all.
                Some(deadline) => match timeout_at(deadline.into(), ended).await {
                    Ok(outcome) => outcome.unwrap_or_else(|_| gone()),
                    Err(_) => Err(JoinError::Timeout),
                },
                None => ended.await.unwrap_or_else(|_| gone()),
            }
        })
    }

    fn push_encoded(
        &self,
        event: Text,
        payload: Encoded,
        timeout: Option<Duration>,
    ) -> Outcome<Result<Reply, PushError>> {
        let ended = payload.map_err(PushError::from).and_then(|payload| {
            self.handle.socket.shared().act(|core, now| {
                let push = core.machine.push(self.handle.id, event, payload, timeout, now)?;
                Ok(core.wait_for(push))
            })
        });
        Outcome::new(async { outcome(ended?).await })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.socket.shared().drop_handle(Dropped::Channel(self.id));
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("topic", &self.handle.topic)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The outcome of a push or leave as a result.
async fn outcome(ended: oneshot::Receiver<PushOutcome>) -> Result<Reply, PushError> {
    match ended.await {
        Ok(PushOutcome::Replied(reply)) if reply.status == Status::ERROR => Err(PushError::Refused(reply)),
        Ok(PushOutcome::Replied(reply)) => Ok(reply),
        Ok(PushOutcome::TimedOut) => Err(PushError::Timeout),
        Ok(PushOutcome::ChannelErrored) => Err(PushError::Channel),
        Ok(PushOutcome::ConnectionLost) => Err(PushError::ConnectionLost),
        Ok(PushOutcome::Discarded) => Err(PushError::Full),
        Ok(PushOutcome::Unencodable(error)) => Err(PushError::Encode(error)),
        // Without a sender the driver is gone, and every channel with it.
        Ok(_) | Err(_) => Err(PushError::Closed),
    }
}

impl From<Refused> for PushError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotJoined => Self::NotJoined,
            Refused::ReservedEvent(event) => Self::ReservedEvent(event),
            Refused::Full(_) => Self::Full,
            Refused::Encode(error) => Self::Encode(error),
            _ => Self::Closed,
        }
    }
}
