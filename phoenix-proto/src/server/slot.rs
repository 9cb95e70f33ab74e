use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;

use crate::{Frame, Message, Ref, Text};

/// Names one instance of a channel: a join that was accepted or is being decided.
///
/// It is never used again on the same connection (before 2³² joins).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelId {
    slot: u32,
    generation: u32,
}

/// One topic of a connection, from its join on.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) channel: ChannelId,
    pub(super) topic: Text,
    /// The `join_ref` exactly as received, by which staleness is judged.
    pub(super) join_ref: Option<Ref>,
    pub(super) state: State,
    /// What waits for a join to be answered, when something does.
    pub(super) held: Option<Box<Held>>,
}

#[derive(Debug)]
pub(super) enum State {
    /// The join callback decides; `reference` is what its reply carries.
    Joining { reference: Option<Ref> },
    /// Joined.
    Joined,
    /// Its `phx_close` is out and the topic is free, but it may still speak.
    Closing,
    /// Killed by the newer join `next`, which waits for its end, but not longer than to the deadline.
    Replacing { next: Box<Message>, deadline: Option<Instant> },
}

#[derive(Debug, Default)]
pub(super) struct Held {
    /// Messages of the client for this topic.
    pub(super) input: VecDeque<Message>,
    /// Frames of channels of this topic.
    pub(super) output: VecDeque<Frame>,
}

impl Slot {
    pub(super) fn held(&mut self) -> &mut Held {
        self.held.get_or_insert_default()
    }
}

/// The slots of a connection, by number and by topic.
#[derive(Debug, Default)]
pub(super) struct Slots {
    entries: Slab<Slot>,
    by_topic: HashTable<u32>,
    generation: u32,
}

/// So many are looked through faster than a hash is made.
const FEW_SLOTS: usize = 4;

const HASHER: FixedState = FixedState::with_seed(0);

impl Slots {
    /// How many topics are joined or being joined.
    pub(super) fn topics(&self) -> usize {
        self.by_topic.len()
    }

    /// The slot that serves a topic.
    pub(super) fn find(&mut self, topic: &str) -> Option<&mut Slot> {
        if self.entries.len() <= FEW_SLOTS {
            let mut slots = self.entries.iter_mut().map(|(_, slot)| slot);
            return slots.find(|slot| slot.topic == *topic && !matches!(slot.state, State::Closing));
        }
        let slots = &mut self.entries;
        let found =
            self.by_topic.find(HASHER.hash_one(topic), |&index| slots[index as usize].topic == *topic)?;
        slots.get_mut(*found as usize)
    }

    /// The slot of a channel, unless that instance is gone.
    pub(super) fn get(&mut self, channel: ChannelId) -> Option<&mut Slot> {
        let slot = self.entries.get_mut(channel.slot())?;
        (slot.channel == channel).then_some(slot)
    }

    /// Opens a slot for a topic that has none.
    pub(super) fn insert(&mut self, topic: Text, join_ref: Option<Ref>, state: State) -> &mut Slot {
        if self.entries.capacity() == 0 {
            // Most connections join one topic; a vector would start with room for four.
            self.entries.reserve_exact(1);
        }
        let number = u32::try_from(self.entries.vacant_key()).expect("fewer than 2^32 channels");
        let channel = self.next_instance(number);
        let slots = &self.entries;
        self.by_topic.insert_unique(HASHER.hash_one(&*topic), number, |&index| {
            HASHER.hash_one(&*slots[index as usize].topic)
        });
        let key = self.entries.insert(Slot { channel, topic, join_ref, state, held: None });
        &mut self.entries[key]
    }

    /// Gives the slot of `channel` to a new instance of the same topic.
    pub(super) fn renew(&mut self, channel: ChannelId) -> Option<&mut Slot> {
        let renewed = self.next_instance(channel.slot);
        let slot = self.get(channel)?;
        slot.channel = renewed;
        Some(slot)
    }

    /// Makes the topic of a channel free, while the channel keeps its slot.
    pub(super) fn free_topic(&mut self, channel: ChannelId) {
        let Some(slot) = self.entries.get(channel.slot()) else { return };
        let hash = HASHER.hash_one(&*slot.topic);
        if let Ok(entry) = self.by_topic.find_entry(hash, |&index| index == channel.slot) {
            entry.remove();
        }
    }

    /// Removes a channel with its slot.
    pub(super) fn remove(&mut self, channel: ChannelId) -> Option<Slot> {
        self.get(channel)?;
        self.free_topic(channel);
        self.entries.try_remove(channel.slot())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.entries.iter().map(|(_, slot)| slot)
    }

    fn next_instance(&mut self, slot: u32) -> ChannelId {
        self.generation = self.generation.wrapping_add(1);
        ChannelId { slot, generation: self.generation }
    }
}

impl ChannelId {
    /// No channel, for connections of sockets that have none: what is sent for it goes nowhere.
    pub const NONE: Self = Self { slot: u32::MAX, generation: 0 };

    /// A small number that no other live channel of the connection has, to index a table with.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}
