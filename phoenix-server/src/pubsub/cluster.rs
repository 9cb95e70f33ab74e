use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use phoenix_proto::Text;
use tokio::sync::watch;

use super::NodeName;
use super::engine::{Engine, Inbound, InterestChanges, Port, Publication, Route};

/// Several nodes in one process, for tests: every PubSub with an engine of the same cluster is a node of its own.
///
/// It can lose messages, split and stop. Nothing in it takes time, so that tests with a paused clock are exact.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), phoenix_server::BroadcastError> {
/// use phoenix_server::{LocalCluster, Payload, PubSub};
///
/// let cluster = LocalCluster::new();
/// let a = PubSub::builder().node("a").engine(cluster.engine());
/// let b = PubSub::builder().node("b").engine(cluster.engine());
///
/// let mut subscription = b.subscribe("room:1");
/// a.settled().await;
/// b.settled().await;
/// a.broadcast("room:1", "hello", Payload::EMPTY)?;
/// assert_eq!(subscription.recv().await.unwrap().event, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LocalCluster {
    shared: Arc<Shared>,
}

/// One node's engine of a [`LocalCluster`].
#[derive(Debug)]
pub struct LocalEngine {
    cluster: LocalCluster,
}

struct Shared {
    state: Mutex<State>,
    running: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeName, Node>,
    /// Pairs that do not reach each other, in both orders.
    cut: BTreeSet<(NodeName, NodeName)>,
    loses: Option<Box<Loses>>,
}

type Loses = dyn FnMut(&NodeName, &NodeName) -> bool + Send;

struct Node {
    inbound: Inbound,
    topics: HashSet<Text>,
}

impl LocalCluster {
    /// A cluster without nodes.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), running: watch::Sender::new(true) }) }
    }

    /// The engine for one more node. Node names have to differ.
    pub fn engine(&self) -> LocalEngine {
        LocalEngine { cluster: self.clone() }
    }

    /// Splits the cluster: from now on nodes of one group reach no node of the other.
    pub fn split(&self, group: &[NodeName], other: &[NodeName]) {
        let pairs = group.iter().flat_map(|a| other.iter().map(move |b| (a.clone(), b.clone())));
        self.shared.state.lock().cut.extend(pairs.flat_map(|(a, b)| [(a.clone(), b.clone()), (b, a)]));
    }

    /// Ends all splits.
    pub fn heal(&self) {
        self.shared.state.lock().cut.clear();
    }

    /// Decides for every message, from one node to another, whether it gets lost.
    pub fn lose_when(&self, loses: impl FnMut(&NodeName, &NodeName) -> bool + Send + 'static) {
        self.shared.state.lock().loses = Some(Box::new(loses));
    }

    /// Stops what connects the nodes, as when a broker goes down: they notice, and forget their subscriptions.
    pub fn stop(&self) {
        self.shared.running.send_replace(false);
    }

    /// Starts again after [`stop`](Self::stop).
    pub fn start(&self) {
        self.shared.running.send_replace(true);
    }

    fn publish(&self, from: &NodeName, publication: &Publication) {
        let receivers: Vec<_> = {
            let mut state = self.shared.state.lock();
            let State { nodes, cut, loses } = &mut *state;
            let receivers = nodes.iter().filter(|(name, node)| match &publication.to {
                Route::Topic(topic) => node.topics.contains(topic),
                Route::Node(to) => to == *name,
            });
            let mut reaches = |to: &NodeName| {
                !cut.contains(&(from.clone(), to.clone()))
                    && !loses.as_mut().is_some_and(|loses| loses(from, to))
            };
            receivers.filter(|(name, _)| reaches(name)).map(|(_, node)| node.inbound.clone()).collect()
        };
        for inbound in receivers {
            inbound.deliver(&publication.message);
        }
    }

    fn subscribe(&self, port: &Port, changes: &InterestChanges) {
        let mut state = self.shared.state.lock();
        if let Some(node) = state.nodes.get_mut(&port.node).filter(|node| node.inbound.is(&port.inbound)) {
            node.topics.extend(changes.subscribe.iter().cloned());
            node.topics.retain(|topic| !changes.unsubscribe.contains(topic));
        }
    }

    fn connect(&self, port: &Port) {
        let node = Node { inbound: port.inbound.clone(), topics: HashSet::new() };
        self.shared.state.lock().nodes.insert(port.node.clone(), node);
        port.link.up();
    }

    fn disconnect(&self, port: &Port) {
        port.link.down();
        port.interests.restart();
        let mut state = self.shared.state.lock();
        // A node that was started again has the name already.
        if state.nodes.get(&port.node).is_some_and(|node| node.inbound.is(&port.inbound)) {
            state.nodes.remove(&port.node);
        }
    }
}

impl Engine for LocalEngine {
    fn run(self: Box<Self>, mut port: Port) -> BoxFuture<'static, ()> {
        let mut running = self.cluster.shared.running.subscribe();
        port.interests.restart();
        if *running.borrow() {
            self.cluster.connect(&port);
        }
        async move {
            loop {
                // What was published before the connection was lost is lost with it.
                let connected = port.link.is_up();
                tokio::select! {
                    biased;
                    changed = running.changed() => {
                        let up = changed.is_ok() && *running.borrow_and_update();
                        if up && !connected {
                            self.cluster.connect(&port);
                        } else if !up {
                            self.cluster.disconnect(&port);
                        }
                    }
                    changes = port.interests.recv(), if connected => {
                        self.cluster.subscribe(&port, &changes);
                        port.interests.settled(&changes);
                    }
                    publications = port.outbox.recv(64) => {
                        let Some(publications) = publications else { break };
                        if connected {
                            for publication in &publications {
                                self.cluster.publish(&port.node, publication);
                            }
                        } else {
                            port.outbox.unsent(publications.len());
                        }
                    }
                }
            }
            self.cluster.disconnect(&port);
        }
        .boxed()
    }
}

impl Default for LocalCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCluster")
            .field("nodes", &self.shared.state.lock().nodes.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
