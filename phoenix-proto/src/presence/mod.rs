//! Presence: who is where, replicated between nodes and mirrored by clients.
//!
//! Two machines share the types of this module:
//!
//! * [`Tracker`] runs on every server node. It holds the presences of one shard, replicates them to the other nodes and
//!   says per topic who joined and who left (protocol §17).
//! * [`PresenceSync`] runs in a client. It turns `presence_state` and `presence_diff` payloads into joins, leaves and a
//!   list (protocol §23).
//!
//! Between the two lies the JSON of protocol §18: [`Presences`] is the payload of `presence_state`, [`PresenceDiff`] the
//! payload of `presence_diff`.
//!
//! # Replication
//!
//! Only the node an entry was tracked on ever changes it, so every replica is a linear history of numbered changes
//! (*dots*). What a node knows of another replica is a set of dots (a contiguous *context* and a *cloud* of dots beyond
//! a gap) and the entries alive among them. Nodes exchange deltas: a span of dots, the entries alive in it, and the
//! older dots that died because of it. A dot that is known but has no entry is dead for good, therefore merging is
//! commutative, associative and idempotent, a concurrent add wins, and lost, repeated or reordered messages do no harm:
//! a gap shows in the clocks of the next heartbeat and is filled by a transfer.
//!
//! A delta for any clock can be cut from the history of settled merges kept per replica, up to
//! [`TrackerConfig::max_delta_size`]; a requester further behind gets everything.
//!
//! Entries of a replica that is down are kept but hidden: they are neither listed nor reported until it is up again.
//!
//! # Example
//!
//! ```
//! use std::time::Instant;
//!
//! use phoenix_proto::presence::{Owner, PresenceSync, Tracker, TrackerConfig, TrackerStart};
//! use serde_json::Map;
//!
//! let now = Instant::now();
//! let start = TrackerStart { node: "a".into(), shard: 0, seed: 7, now, unix_nanos: 1_795_459_584_000_000_000 };
//! let mut tracker = Tracker::new(TrackerConfig::default(), &start)?;
//!
//! tracker.track(Owner(1), "room:1", "alice", Map::new(), now)?;
//! let diff = tracker.poll_diff().expect("alice joined");
//! let state = serde_json::to_vec(&tracker.list("room:1"))?;
//!
//! let mut client = PresenceSync::default();
//! client.handle_message("presence_diff", &serde_json::to_vec(&diff)?, "1")?;
//! client.handle_message("presence_state", &state, "1")?;
//! assert!(client.presences().get("alice").is_some());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod client;
mod config;
mod delta;
mod diff;
mod dots;
mod entry;
mod grouped;
mod history;
mod index;
mod listing;
mod message;
mod meta;
mod reference;
mod shard;
mod tracker;

pub use client::{
    PresenceEvent, PresencePayloadError, PresenceSync, PresenceSyncConfig, sync_diff, sync_state,
};
pub use config::{TrackerConfig, TrackerConfigError, TrackerStart};
pub use delta::ReplicaDelta;
pub use diff::TopicDiff;
pub use entry::{Entry, Owner, ReplicaRef};
pub use grouped::{Presence, PresenceDiff, Presences};
pub use listing::TopicList;
pub use message::{
    Clocks, DecodeError, Destination, Heartbeat, Message, Outgoing, TransferAck, TransferRequest,
};
pub use meta::Meta;
pub use reference::PhxRef;
pub use shard::shard_of;
pub use tracker::{
    MetaTooLarge, ReplicaChange, ReplicaStatus, TrackError, Tracker, TrackerStats, TrackerTimeout,
    UpdateError,
};
