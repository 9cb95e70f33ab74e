//! Real brokers for tests, and the tests that every PubSub engine passes.
//!
//! [`Broker`] starts `redis-server` or `nats-server` on a free port; [`suite`] tests what PubSub promises over an engine.

mod broker;
mod process;
pub mod suite;

pub use broker::{Broker, Kind, ROOT_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY};
pub use process::{Log, Process};
