//! What channels do, from their join to their end.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use phoenix_proto::server::{ChannelId, JoinRequest};

use super::{ChannelDriver, Turn};
use crate::handle::Link;
use crate::pubsub::SubscriberId;
use crate::runner::{Callback, Done, Outcome};
use crate::transport::Transport;
use crate::{End, JoinError};

/// How many callbacks may run before what they have sent is written and more is read.
const MAX_CALLBACKS: usize = 256;

impl<T: Transport> ChannelDriver<T> {
    /// Runs what channels have to do; those that make more work for themselves have to wait for their next turn.
    ///
    /// Whether there was something to do.
    pub(super) fn run_callbacks(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        for number in 0..MAX_CALLBACKS {
            let Some((channel, callback)) = self.channels.next_callback() else { return number > 0 };
            self.start(channel, callback, turn);
        }
        true
    }

    pub(super) fn join(&mut self, request: JoinRequest, turn: &mut Turn<'_, '_>) {
        let JoinRequest { channel, route, topic, join_ref, payload } = request;
        let link = Arc::new(Link {
            inbox: Arc::clone(&self.parts.inbox),
            channel,
            subscriber: SubscriberId::next(),
            topic,
            join_ref,
            serializer: Arc::clone(&self.parts.serializer),
            pubsub: self.parts.pubsub.clone(),
            transport: self.parts.transport,
            diagnostics: Arc::clone(&self.parts.diagnostics),
            waiting: AtomicUsize::new(0),
        });
        let joining = self.parts.socket.join(route, link, payload);
        self.channels.insert(channel);
        self.start(channel, joining, turn);
    }

    pub(super) fn start(&mut self, channel: ChannelId, callback: Callback, turn: &mut Turn<'_, '_>) {
        if let Some(done) = self.channels.start(channel, callback, turn.cx) {
            self.settle(done, turn);
        }
    }

    /// Acts on a callback that is done, and on those that follow from it.
    pub(super) fn settle(&mut self, done: Done, turn: &mut Turn<'_, '_>) {
        let now = turn.now;
        let mut next = Some(done);
        while let Some(done) = next.take() {
            // What the callback sent comes before what becomes of it. Of most becomes nothing, and what they sent is
            // taken together.
            if !matches!(done, Done::Ran(_, _, Outcome::Continue)) {
                self.drain_inbox(None, turn);
            }
            let follows = match done {
                Done::Joined(channel, Ok((runner, reply))) => {
                    let follows = self.channels.idle(channel, runner);
                    self.machine.accept(channel, reply, now);
                    follows.map(|callback| (channel, callback))
                }
                Done::Joined(channel, Err(error)) => {
                    self.channels.remove(channel);
                    match error {
                        JoinError::Refused(reason) => self.machine.refuse(channel, reason, now),
                        JoinError::Crashed(_) => self.machine.join_crashed(channel, now),
                    }
                    None
                }
                Done::Ran(channel, runner, Outcome::Continue) => {
                    self.channels.idle(channel, runner).map(|callback| (channel, callback))
                }
                Done::Ran(channel, runner, Outcome::Stop(end)) => {
                    self.machine.close_channel(channel);
                    self.channels.terminate(channel, runner, end).map(|callback| (channel, callback))
                }
                Done::Ran(channel, runner, Outcome::Crash) => {
                    self.channels.terminate(channel, runner, End::Crashed).map(|callback| (channel, callback))
                }
                Done::Terminated(channel) => {
                    self.channels.remove(channel);
                    self.machine.ended(channel, now);
                    None
                }
            };
            if let Some((channel, callback)) = follows {
                next = self.channels.start(channel, callback, turn.cx);
            }
        }
    }
}
