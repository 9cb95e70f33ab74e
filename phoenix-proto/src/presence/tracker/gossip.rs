use std::sync::Arc;
use std::time::Instant;

use super::replicas::{ReplicaChange, ReplicaStatus, Transition};
use super::{Changes, Destination, Message, Tracker};
use crate::presence::delta::ReplicaDelta;
use crate::presence::entry::Entry;
use crate::presence::message::{DecodeError, Heartbeat, TransferAck, TransferRequest};

impl Tracker {
    /// The bytes of a message came from another node. What cannot be read is counted and ignored.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.handle_decoded(Message::decode(bytes), now);
    }

    /// The same for bytes that were [decoded](Message::decode) before, as when that is done outside of a lock.
    pub fn handle_decoded(&mut self, decoded: Result<Message, DecodeError>, now: Instant) {
        match decoded {
            Ok(message) => self.handle_message(message, now),
            Err(DecodeError::UnknownVersion(_)) => self.stats.unknown_versions += 1,
            Err(DecodeError::Malformed(_)) => self.stats.malformed += 1,
        }
    }

    /// A message came. Our own ones coming back are ignored.
    pub fn handle_message(&mut self, message: Message, now: Instant) {
        let (Message::Heartbeat(Heartbeat { from, .. })
        | Message::TransferRequest(TransferRequest { from, .. })
        | Message::TransferAck(TransferAck { from, .. })
        | Message::Permdown(from)) = &message;
        if self.is_stopped() || from.node() == self.own.replica().node() {
            return;
        }
        match message {
            Message::Heartbeat(heartbeat) => self.handle_heartbeat(heartbeat, now),
            Message::TransferRequest(request) => self.answer(request),
            Message::TransferAck(ack) => ack.deltas.into_iter().for_each(|delta| self.merge(&delta)),
            Message::Permdown(replica) => {
                let transition = self.replicas.ended(&replica);
                self.apply(transition);
            }
        }
    }

    /// A message could not be sent, or may have been lost: the next tick says in a heartbeat what we know, so that what
    /// is missing is asked for as soon as messages get through again.
    pub fn handle_unsent(&mut self) {
        self.silent_periods = self.config.max_silent_periods;
    }

    /// Time has come. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_tick.is_none_or(|at| now < at) {
            return;
        }
        self.broadcast();
        self.request_transfers();
        let transition = self.replicas.detect_downs(now);
        self.apply(transition);
        self.next_tick = Some(now + self.config.broadcast_period);
    }

    fn handle_heartbeat(&mut self, heartbeat: Heartbeat, now: Instant) {
        let Heartbeat { from, clocks, delta } = heartbeat;
        let Ok(transition) = self.replicas.heard(&from, now) else {
            self.stats.refused_replicas += 1;
            return;
        };
        if transition.replicas.iter().any(|change| matches!(change, ReplicaChange::Up(_))) {
            // Whoever just came hears from us at the next tick, not after the silence.
            self.silent_periods = self.config.max_silent_periods;
        }
        self.apply(transition);
        if let Some(delta) = delta {
            self.merge(&delta);
        }
        self.replicas.sample(&from, clocks);
    }

    fn answer(&mut self, request: TransferRequest) {
        let TransferRequest { id, from, clocks } = request;
        let known = |(replica, &clock)| {
            let (history, _) = self
                .replicas
                .get(replica)
                .or_else(|| (replica == self.own.replica()).then_some((&self.own, ReplicaStatus::Up)))?;
            history.since(clock)
        };
        let deltas = clocks.0.iter().filter(|(replica, _)| replica.node() != from.node()).filter_map(known);
        let budget = self.config.max_message_bytes;
        let parts: Vec<_> = deltas.flat_map(|delta| delta.split(budget)).collect();
        for deltas in pack(parts, budget) {
            let ack = TransferAck { id, from: self.own.replica().clone(), deltas };
            self.send(Destination::Node(Arc::clone(from.node())), Message::TransferAck(ack));
        }
    }

    fn merge(&mut self, delta: &ReplicaDelta) {
        if delta.replica.node() == self.own.replica().node() {
            return;
        }
        let Some((history, status)) = self.replicas.get_mut(&delta.replica) else {
            self.stats.unknown_replicas += 1;
            return;
        };
        let merged = history.merge(delta);
        let mut changes = Changes::default();
        for entry in merged.joins {
            let topic = self.topics.shared(&entry.topic).unwrap_or(&entry.topic);
            let shared = Arc::new(Entry {
                topic: Arc::clone(topic),
                replica: history.replica().clone(),
                ..Entry::clone(&entry)
            });
            history.replace(&shared);
            changes.join(shared);
        }
        merged.leaves.into_iter().for_each(|entry| changes.leave(entry));
        if status == ReplicaStatus::Up {
            self.publish(changes);
        }
    }

    fn broadcast(&mut self) {
        let news = self.own.since(self.own.sealed());
        self.own.seal();
        if news.is_none() && self.silent_periods < self.config.max_silent_periods {
            self.silent_periods += 1;
            return;
        }
        self.silent_periods = 0;
        let (from, clocks) = (self.own.replica().clone(), self.clocks());
        let parts = news.map_or_else(
            || vec![None],
            |news| news.split(self.config.max_message_bytes).into_iter().map(Some).collect(),
        );
        for delta in parts {
            let heartbeat = Heartbeat { from: from.clone(), clocks: clocks.clone(), delta };
            self.send(Destination::All, Message::Heartbeat(heartbeat));
        }
    }

    fn request_transfers(&mut self) {
        if self.periods_to_sample > 1 {
            self.periods_to_sample -= 1;
            return;
        }
        self.periods_to_sample = self.config.clock_sample_periods;
        for node in self.replicas.transfer_targets() {
            self.requests += 1;
            let request = TransferRequest {
                id: self.requests,
                from: self.own.replica().clone(),
                clocks: self.clocks(),
            };
            self.send(Destination::Node(node), Message::TransferRequest(request));
        }
    }

    fn apply(&mut self, transition: Transition) {
        self.changes.extend(transition.replicas);
        self.publish(transition.presences);
    }
}

/// Groups deltas into messages of about `budget` bytes.
fn pack(deltas: Vec<ReplicaDelta>, budget: usize) -> Vec<Vec<ReplicaDelta>> {
    let mut packs: Vec<Vec<ReplicaDelta>> = Vec::new();
    let mut left = 0;
    for delta in deltas {
        let size = delta.wire_size();
        if let Some(pack) = packs.last_mut()
            && size <= left
        {
            left -= size;
            pack.push(delta);
        } else {
            left = budget.saturating_sub(size);
            packs.push(vec![delta]);
        }
    }
    packs
}
