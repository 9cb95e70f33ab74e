//! What one turn of a connection works with.

use std::cell::Cell;
use std::collections::VecDeque;
use std::task::Context;
use std::time::Instant;

use phoenix_proto::Incoming;
use phoenix_proto::server::{Connection, Queues};

use crate::driver::channels::{Channels, Ready};
use crate::inbox::Item;
use crate::transport::Outgoing;

/// One turn: from being woken until there is nothing more to do.
pub(super) struct Turn<'a, 'w> {
    pub(super) now: Instant,
    pub(super) cx: &'a mut Context<'w>,
    pub(super) buffers: Box<Buffers>,
}

/// Buffers that are empty between two turns. All connections of a thread share them, so that one that does nothing
/// owns none.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) items: VecDeque<Item>,
    pub(super) incoming: Vec<Incoming>,
    queues: Queues,
    ready: Ready,
    outgoing: Outgoing,
}

/// What a connection got: only what it had no use for of its own.
pub(super) struct Lent {
    queues: bool,
    ready: bool,
    outgoing: bool,
}

thread_local! {
    static BUFFERS: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

impl Buffers {
    /// Those of this thread.
    pub(super) fn take() -> Box<Self> {
        BUFFERS.take().unwrap_or_default()
    }

    pub(super) fn put_back(self: Box<Self>) {
        BUFFERS.set(Some(self));
    }

    /// Exchanged rather than moved, as dropping what is empty costs more than swapping it.
    pub(super) fn lend(
        &mut self,
        machine: &mut Connection,
        channels: &mut Channels,
        outgoing: &mut Outgoing,
    ) -> Lent {
        // What a timeout has left in the machine is not sent yet.
        let lent = Lent {
            queues: machine.has_empty_queues(),
            ready: !channels.has_callbacks(),
            outgoing: outgoing.is_empty(),
        };
        self.exchange(&lent, machine, channels, outgoing);
        lent
    }

    /// Takes back what is empty; what is not stays with the connection.
    pub(super) fn take_back(
        &mut self,
        lent: &Lent,
        machine: &mut Connection,
        channels: &mut Channels,
        outgoing: &mut Outgoing,
    ) {
        let empty = Lent {
            queues: machine.has_empty_queues(),
            ready: !channels.has_callbacks(),
            outgoing: outgoing.is_empty(),
        };
        let back = Lent {
            queues: lent.queues && empty.queues,
            ready: lent.ready && empty.ready,
            outgoing: lent.outgoing && empty.outgoing,
        };
        self.exchange(&back, machine, channels, outgoing);
        // Emptied at last: its own memory goes.
        if empty.queues && !lent.queues {
            machine.swap_queues(&mut Queues::new());
        }
        if empty.ready && !lent.ready {
            channels.swap_ready(&mut Ready::new());
        }
        if empty.outgoing && !lent.outgoing {
            *outgoing = Outgoing::new();
        }
    }

    fn exchange(
        &mut self,
        what: &Lent,
        machine: &mut Connection,
        channels: &mut Channels,
        outgoing: &mut Outgoing,
    ) {
        if what.queues {
            machine.swap_queues(&mut self.queues);
        }
        if what.ready {
            channels.swap_ready(&mut self.ready);
        }
        if what.outgoing {
            std::mem::swap(outgoing, &mut self.outgoing);
        }
    }
}
