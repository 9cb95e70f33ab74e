use std::fmt;
use std::sync::Arc;

use super::engine::{Counters, Engine, Inbound, Interests, Ledger, Link, Outbox, Port, Queue};
use super::envelope::Sender;
use super::node::random;
use super::remote::Remote;
use super::table::Table;
use super::{NodeName, PubSub};

/// The options of a [`PubSub`].
#[derive(Clone)]
#[must_use = "a builder builds nothing until it is told to"]
pub struct PubSubBuilder {
    node: NodeName,
    max_messages: usize,
    max_bytes: usize,
}

impl Default for PubSubBuilder {
    fn default() -> Self {
        Self { node: NodeName::random(), max_messages: 65_536, max_bytes: 64 << 20 }
    }
}

impl PubSubBuilder {
    /// Sets the name of this node; by default it is random, and so another one after each start.
    pub fn node(mut self, name: impl Into<NodeName>) -> Self {
        self.node = name.into();
        self
    }

    /// Sets how much may wait to be sent to other nodes before publishers are refused: 65,536 broadcasts and 64 MiB
    /// by default.
    pub fn queue_limits(mut self, messages: usize, bytes: usize) -> Self {
        self.max_messages = messages;
        self.max_bytes = bytes;
        self
    }

    /// A PubSub of this process only.
    pub fn local(self) -> PubSub {
        PubSub::new(Arc::new(Table::new(self.node, None)))
    }

    /// A PubSub that reaches other nodes by an engine, which runs as a task until the PubSub is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn engine(self, engine: impl Engine) -> PubSub {
        let counters = Arc::<Counters>::default();
        let queue = Queue::new(Arc::clone(&counters), self.max_messages, self.max_bytes);
        let ledger = Arc::<Ledger>::default();
        let own = Arc::new(Sender { node: self.node.as_str().into(), start: random() });
        let remote = Remote {
            own: Arc::clone(&own),
            queue: Arc::clone(&queue),
            ledger: Arc::clone(&ledger),
            counters: Arc::clone(&counters),
        };
        let table = Arc::new(Table::new(self.node.clone(), Some(remote)));
        let port = Port::new(
            self.node,
            Outbox::new(queue),
            Interests::new(ledger),
            Inbound::new(Arc::downgrade(&table), own, Arc::clone(&counters)),
            Link::new(counters),
        );
        tokio::spawn(Box::new(engine).run(port));
        PubSub::new(table)
    }
}

impl fmt::Debug for PubSubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubBuilder").field("node", &self.node).finish_non_exhaustive()
    }
}
