//! Replays recorded phoenix.js traffic against any Phoenix Channels server and reports every difference.
//!
//! A *recording* is what a proxy saw between clients and a real Phoenix. A *replay* takes the clients' part over real
//! sockets, byte for byte and at the recorded pace, against a server of which nothing is known but its URL, and compares
//! what that server says with what Phoenix said.
//!
//! ```no_run
//! # async fn example() -> Result<(), phoenix_conformance::ReplayError> {
//! use phoenix_conformance::Replay;
//!
//! // The recordings of this crate need the reference application on the server …
//! Replay::new("http://127.0.0.1:4000")?.filter("ws_leave.*")?.run().await?.assert_ok();
//! // … those of a project need its own.
//! Replay::new("http://127.0.0.1:4000")?.files(["tests/recordings/chat.jsonl"]).run().await?.assert_ok();
//! # Ok(())
//! # }
//! ```

mod compare;
mod deviations;
mod difference;
mod faults;
mod json;
pub mod net;
mod record;
pub mod recording;
mod replay;
mod report;
mod script;
mod show;
pub mod wire;

pub use deviations::{Deviations, DeviationsError};
pub use difference::{Difference, Kind};
pub use faults::{Fault, FaultyDial};
pub use record::Recorder;
pub use replay::{Progress, Replay, ReplayError};
pub use report::{JunitError, Outcome, Report, Verdict};
