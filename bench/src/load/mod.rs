//! The load generator: many clients on one thread, every message numbered and accounted for.

mod broadcast;
mod churn;
mod connect;
mod echo;
mod idle;
mod incoming;
mod join;
mod latency;
mod longpoll;
mod measure;
mod net;
mod outcome;
mod outgoing;
mod plan;
mod process;
mod publisher;
mod tally;
mod target;

use std::io;

pub use latency::Percentiles;
pub use outcome::Outcome;
pub(crate) use outgoing::{JOIN_REF, Outgoing, Push};
pub use plan::{Bound, Mode, Plan};
pub use process::Pid;
pub use target::Target;

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A socket could not be made, or the server's process could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not every client came to be joined; the figures would be those of another load.
    #[error("{joined} of {wanted} clients joined")]
    NotJoined {
        /// Clients that joined.
        joined: usize,
        /// Clients that should have.
        wanted: usize,
    },
}

/// Runs the load. Without the process of the server there are no CPU and memory figures.
///
/// # Errors
///
/// When sockets or the process fail, or not every client can join. Losses are no error, but figures of the
/// outcome.
pub fn run(plan: &Plan, target: &Target, server: Option<Pid>) -> Result<Outcome, LoadError> {
    match plan.mode {
        Mode::Echo | Mode::Echo16 | Mode::Echo4k => echo::run(plan, target, server),
        Mode::Fanout100 | Mode::Fanout1 | Mode::Fanout10k | Mode::Fanout8 | Mode::Rooms => {
            broadcast::run(plan, target, server)
        }
        Mode::Connect => connect::run(plan, target, server),
        Mode::Churn => churn::run(plan, target, server),
        Mode::Idle => idle::run(plan, target, server),
        Mode::Longpoll => longpoll::run(plan, target, server),
    }
}
