//! Who is where, on all nodes: the tracker of `phoenix-proto` at work (FEATURES J, L; protocol §17, §18).
//!
//! ```text
//! channel → PresenceOwner → Shard (tracker behind a lock) → Lanes (diffs, in order per topic) → PubSub, this node only
//!                             ↕ gossip task ↔ PubSub, other nodes
//! ```

mod builder;
mod deferred;
mod gossip;
mod handle;
mod hooks;
mod lanes;
mod names;
mod owner;
mod publish;
mod shard;
mod stats;

pub use builder::{PresenceBuilder, PresenceError};
pub(crate) use deferred::until_it_waits;
pub use handle::Presence;
pub use hooks::PresenceObserver;
pub(crate) use names::Names;
pub use names::UnknownPresence;
pub use owner::{PresenceOwner, TrackError, UpdateError};
pub use stats::PresenceStats;
