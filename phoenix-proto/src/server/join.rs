//! Joins: accepted, refused, and replacing an older one of the same topic (protocol §9.4, §9.5).

use std::time::Instant;

use super::slot::{Slot, State};
use super::{ChannelId, CloseReason, Command, Connection, JoinRequest, Notice};
use crate::{ChannelEnd, Json, Message, Payload, Ref, Status, Text};

const JOIN_CRASHED: Json = Json::constant("{\"reason\":\"join crashed\"}");
const TOO_MANY_CHANNELS: Json = Json::constant("{\"reason\":\"too many channels joined\"}");

impl Connection {
    /// The join callback accepted: its reply goes out, then everything that waited for it.
    pub fn accept(&mut self, channel: ChannelId, response: Payload, now: Instant) {
        if !self.answer_join(channel, Status::OK, response) {
            return;
        }
        let Some(slot) = self.slots.get(channel) else { return };
        slot.state = State::Joined;
        while let Some(message) = self.next_held(channel) {
            self.dispatch(message, now);
        }
        self.release_output(channel);
    }

    /// The join callback refused with a reason for the client.
    pub fn refuse(&mut self, channel: ChannelId, response: Payload, now: Instant) {
        if !self.answer_join(channel, Status::ERROR, response) {
            return;
        }
        let Some(slot) = self.slots.remove(channel) else { return };
        let Some(held) = slot.held else { return };
        self.held_messages -= held.input.len();
        for message in held.input {
            self.dispatch(message, now);
        }
        match self.slots.find(&slot.topic) {
            // A later join of the batch has just begun: what the old channel left stays behind its reply.
            Some(next) => next.held().output = held.output,
            None => held.output.into_iter().for_each(|frame| self.output(frame)),
        }
    }

    /// The join callback crashed or gave no answer.
    pub fn join_crashed(&mut self, channel: ChannelId, now: Instant) {
        self.refuse(channel, JOIN_CRASHED.into(), now);
    }

    /// Protocol §9.5.
    pub(super) fn join(&mut self, message: Message) {
        let Some(route) = message.topic.text().and_then(|topic| self.routes.find(topic)) else {
            return self.unmatched(message);
        };
        if self.slots.topics() >= self.config.max_channels {
            self.note(Notice::TooManyChannels, &message.topic);
            let response = TOO_MANY_CHANNELS.into();
            return self.reply(message.join_ref, message.reference, message.topic, Status::ERROR, response);
        }
        let topic = message.topic.text().map(Text::detach).unwrap_or_default();
        let join_ref = message.join_ref.as_ref().map(Ref::detach);
        let reference = message.reference.as_ref().map(Ref::detach);
        let channel_ref = join_ref.clone().or_else(|| reference.clone());
        let slot = self.slots.insert(topic.clone(), join_ref, State::Joining { reference });
        let channel = slot.channel;
        let request = JoinRequest { channel, route, topic, join_ref: channel_ref, payload: message.payload };
        self.queues.commands.push_back(Command::Join(Box::new(request)));
    }

    /// Protocol §9.4: the old channel is killed; the join goes on when it has ended.
    pub(super) fn replace(&mut self, channel: ChannelId, message: Message, now: Instant) {
        self.note(Notice::DuplicateJoin, &message.topic);
        let deadline = now.checked_add(self.config.replace_timeout);
        if let Some(slot) = self.slots.get(channel) {
            slot.state = State::Replacing { next: Box::new(message), deadline };
            self.replacing += 1;
            self.queues.commands.push_back(Command::Kill { channel });
        }
    }

    /// The old channel is out of the way: its `phx_close` waits behind the reply to the new join.
    pub(super) fn replaced(&mut self, channel: ChannelId) {
        let Some(slot) = self.slots.renew(channel) else { return };
        let State::Replacing { next, .. } = std::mem::replace(&mut slot.state, State::Closing) else {
            return;
        };
        self.replacing -= 1;
        let end = self.serializer.encode_end(
            &slot.topic.clone().into(),
            slot.join_ref.as_ref(),
            ChannelEnd::Closed,
        );
        let next = *next;
        slot.join_ref = next.join_ref.as_ref().map(Ref::detach);
        let reference = next.reference.as_ref().map(Ref::detach);
        let channel_ref = slot.join_ref.clone().or_else(|| reference.clone());
        slot.state = State::Joining { reference };
        let (channel, topic) = (slot.channel, slot.topic.clone());
        match end {
            Ok(frame) => slot.held().output.push_back(frame),
            Err(error) => return self.close(CloseReason::Unencodable(error)),
        }
        match self.routes.find(&topic) {
            Some(route) => {
                let request =
                    JoinRequest { channel, route, topic, join_ref: channel_ref, payload: next.payload };
                self.queues.commands.push_back(Command::Join(Box::new(request)));
            }
            // The topic had a route when it was joined, and routes do not change.
            None => self.close(CloseReason::Internal),
        }
    }

    /// Sends the reply to a join that is being decided; false when there is none any more.
    fn answer_join(&mut self, channel: ChannelId, status: Status, response: Payload) -> bool {
        if self.closed {
            return false;
        }
        let Some(Slot { state: State::Joining { reference }, topic, join_ref, .. }) = self.slots.get(channel)
        else {
            return false;
        };
        let (join_ref, reference, topic) = (join_ref.clone(), reference.take(), topic.clone().into());
        self.reply(join_ref, reference, topic, status, response);
        !self.closed
    }

    /// The next message that waited for a join, as long as no newer join is under way.
    fn next_held(&mut self, channel: ChannelId) -> Option<Message> {
        let slot = self.slots.get(channel)?;
        if !matches!(slot.state, State::Joined) {
            return None;
        }
        let message = slot.held.as_mut()?.input.pop_front()?;
        self.held_messages -= 1;
        Some(message)
    }

    /// Lets the frames go that waited for a join, unless a newer join is under way.
    fn release_output(&mut self, channel: ChannelId) {
        if let Some(slot) = self.slots.get(channel)
            && matches!(slot.state, State::Joined)
            && let Some(held) = slot.held.take()
        {
            held.output.into_iter().for_each(|frame| self.output(frame));
        }
    }

    pub(super) fn overdue(&self, now: Instant) -> Option<ChannelId> {
        self.replace_deadlines().find(|(deadline, _)| now >= *deadline).map(|(_, channel)| channel)
    }

    pub(super) fn replace_deadlines(&self) -> impl Iterator<Item = (Instant, ChannelId)> {
        let slots = (self.replacing > 0).then(|| self.slots.iter());
        slots.into_iter().flatten().filter_map(|slot| match slot.state {
            State::Replacing { deadline, .. } => Some((deadline?, slot.channel)),
            _ => None,
        })
    }
}
