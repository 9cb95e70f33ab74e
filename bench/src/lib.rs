//! Load generator, limit server and benchmark tables.
//!
//! The load generator ([`load::run`]) drives any server of the bench channel over real sockets and checks loss
//! and order while it measures. The limit server ([`limit::run`]) does only what the wire needs; the server
//! under test ([`serve::run`]) is the bench channel on the public API, mounted by each adapter.
//! [`compare::run`] runs them in alternation and writes ratios to the limit. [`hot`] has the paths of a message without
//! sockets, to be timed or counted one by one.

#![allow(clippy::cast_precision_loss, reason = "counts, bytes and ticks of a run stay far below 2^53")]

pub mod compare;
pub mod hot;
pub mod limit;
pub mod load;
pub mod serve;
mod wire;
