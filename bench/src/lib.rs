//! Load generator, limit server and benchmark tables.
//!
//! The load generator ([`load::run`]) drives any server of the bench channel over real sockets and checks loss
//! and order while it measures. The limit server ([`limit::run`]) does only what the wire needs.
//! [`compare::run`] runs both against other servers in alternation and writes ratios to the limit.

#![allow(clippy::cast_precision_loss, reason = "counts, bytes and ticks of a run stay far below 2^53")]

pub mod compare;
pub mod limit;
pub mod load;
mod wire;
