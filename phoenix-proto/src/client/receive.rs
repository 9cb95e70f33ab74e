//! What comes from the server, and whom it concerns (protocol §19.8, §20.3).

use std::time::Instant;

use super::codec::Received;
use super::event::{
    ChannelError, ChannelId, CloseCause, ConnectionId, ConnectionState, Response, SocketEvent,
};
use super::refs;
use super::socket::Socket;
use crate::{Event, Incoming, Message, Ref, Reply, Topic};

impl Socket {
    /// A text or binary unit came from the server.
    pub fn handle_frame(&mut self, connection: ConnectionId, incoming: Incoming, now: Instant) {
        let receiving = matches!(self.link.state, ConnectionState::Open | ConnectionState::Closing);
        if connection != self.link.id || !receiving {
            return;
        }
        match self.config.serializer.decode(incoming) {
            Ok(Received::Reply(reply)) => self.receive_reply(reply, now),
            Ok(Received::Message(message)) => self.receive_message(&message, now),
            Err(error) => {
                self.counters.undecodable += 1;
                self.events.push_back(SocketEvent::Undecodable(error));
            }
        }
    }

    fn receive_reply(&mut self, reply: Reply, now: Instant) {
        let Some(number) = reply.reference.as_ref().and_then(refs::number) else {
            self.counters.unmatched += 1;
            return;
        };
        if self.take_heartbeat_reply(number, now) {
            return;
        }
        let response = Response { status: reply.status, payload: reply.payload };
        // The end of a leave is judged by its reference alone: its channel is over, whatever its join_ref was.
        if self.take_leave_reply(reply.topic.as_str(), number, &response) {
            return;
        }
        let members = self.members(&reply.topic, reply.join_ref.as_ref());
        let late = !members.is_empty();
        let taken = members.into_iter().any(|channel| {
            self.take_join_reply(channel, number, &response, now)
                || self.take_push_reply(channel, number, &response)
        });
        self.counters.unmatched += u64::from(late && !taken);
    }

    fn receive_message(&mut self, message: &Message, now: Instant) {
        let is_close = message.event == Event::CLOSE;
        let is_error = message.event == Event::ERROR;
        let mut join_ref = message.join_ref.as_ref();
        if is_close || is_error {
            // V1 has no join_ref, but there the ref of these two is the join_ref.
            join_ref = join_ref.or(message.reference.as_ref());
        }
        let members = self.members(&message.topic, join_ref);
        if message.event == Event::REPLY {
            self.counters.unmatched += 1;
            return;
        }
        for channel in members {
            let joined_once = self.channels.get(&channel).is_some_and(|channel| channel.joined_once);
            if is_close && joined_once {
                self.close_channel(channel, CloseCause::ByServer);
            } else if is_error && joined_once {
                self.error_channel(channel, ChannelError::Crashed(message.payload.clone()), now);
            } else if !is_close && !is_error {
                let join_ref = self.join_ref(channel);
                self.events.push_back(SocketEvent::Message { channel, join_ref, message: message.clone() });
            }
        }
    }

    /// The channels that a message concerns: those of its topic, unless it is for another join of it.
    fn members(&mut self, topic: &Topic, join_ref: Option<&Ref>) -> Vec<ChannelId> {
        let ids = topic.text().and_then(|topic| self.topics.get(topic));
        let Some(ids) = ids else {
            self.counters.unmatched += 1;
            return Vec::new();
        };
        let number = join_ref.map(refs::number);
        let is_member = |id: &&ChannelId| {
            let current = self.channels.get(id).and_then(|channel| channel.join_ref);
            number.is_none_or(|number| number.is_some() && number == current)
        };
        let members: Vec<_> = ids.iter().filter(is_member).copied().collect();
        self.counters.stale += (ids.len() - members.len()) as u64;
        members
    }
}
