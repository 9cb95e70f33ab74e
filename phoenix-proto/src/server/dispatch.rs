//! What becomes of a message of the client (protocol §9.2).

use std::time::Instant;

use super::slot::State;
use super::{ChannelId, Command, Connection, Notice};
use crate::{Event, Json, Message, Payload, Ref, Status, Topic};

const UNMATCHED_TOPIC: Json = Json::constant("{\"reason\":\"unmatched topic\"}");

impl Connection {
    /// The table of protocol §9.2.
    pub(super) fn dispatch(&mut self, message: Message, now: Instant) {
        // An answer to what waited for the same join may have closed the connection.
        if self.closed {
            return;
        }
        if message.event == "heartbeat" && message.topic == "phoenix" {
            return self.reply(None, message.reference, message.topic, Status::OK, Payload::EMPTY);
        }
        match message.topic.text().and_then(|topic| self.slots.find(topic)) {
            None => self.dispatch_unjoined(message),
            Some(slot) => match slot.state {
                State::Joining { .. } | State::Replacing { .. } => {
                    slot.held().input.push_back(message);
                    self.held_messages += 1;
                }
                State::Joined | State::Closing => {
                    let channel = slot.channel;
                    let fresh = message.join_ref.is_none() || message.join_ref == slot.join_ref;
                    self.dispatch_joined(channel, fresh, message, now);
                }
            },
        }
    }

    fn dispatch_unjoined(&mut self, message: Message) {
        if message.event == Event::JOIN {
            self.join(message);
        } else if message.event == Event::LEAVE {
            self.reply(message.join_ref, message.reference, message.topic, Status::OK, Payload::EMPTY);
        } else {
            self.unmatched(message);
        }
    }

    fn dispatch_joined(&mut self, channel: ChannelId, fresh: bool, message: Message, now: Instant) {
        if message.event == Event::JOIN {
            self.replace(channel, message, now);
        } else if !fresh {
            self.note(Notice::Stale, &message.topic);
        } else if message.event == Event::LEAVE {
            let credit = self.credits.take();
            self.queues.commands.push_back(Command::Leave { channel, reference: message.reference, credit });
        } else {
            let credit = self.credits.take();
            let Message { event, reference, payload, .. } = message;
            self.queues.commands.push_back(Command::Message { channel, event, reference, payload, credit });
        }
    }

    /// A message for a joined topic cannot even be handed over: the channel crashes, like in Phoenix.
    pub(super) fn crash(&mut self, topic: &Topic, join_ref: Option<&Ref>) -> bool {
        let Some(slot) = topic.text().and_then(|topic| self.slots.find(topic)) else { return false };
        if matches!(slot.state, State::Joined) && (join_ref.is_none() || join_ref == slot.join_ref.as_ref()) {
            let channel = slot.channel;
            self.queues.commands.push_back(Command::Kill { channel });
        }
        true
    }

    pub(super) fn unmatched(&mut self, message: Message) {
        self.note(Notice::Unmatched, &message.topic);
        self.reply(None, message.reference, message.topic, Status::ERROR, UNMATCHED_TOPIC.into());
    }
}
