//! What a run has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::variables::Variables;
use crate::recording::{Conn, Event};

/// Everything a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) conns: BTreeMap<Conn, Lane>,
    pub(crate) calls: Vec<Call>,
    pub(crate) variables: Variables,
}

/// What was seen on one connection.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) seen: Vec<Seen>,
    /// Indexes of recorded events that cannot come, because their poll was left out.
    pub(crate) left_out: BTreeSet<usize>,
    /// Whether the client has ended the connection.
    pub(crate) ended_by_client: bool,
    /// Whether the connection could not be opened.
    pub(crate) refused: bool,
    /// Where the replay went on without what was due.
    pub(crate) overdue: Vec<Overdue>,
    /// How many due events the replay does not wait for any more.
    pub(super) given_up: usize,
    pub(super) ended_by_server: bool,
    /// How many requests the client has sent, or left out.
    pub(super) requests: usize,
    /// When something was sent or seen last.
    pub(super) last: Option<Instant>,
}

/// The replay went on although something was due on a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overdue {
    /// How many of the expected events were due.
    pub(crate) due: usize,
    /// How many events had been seen.
    pub(crate) seen: usize,
}

/// An event as it was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Counts the events of all connections.
    pub(crate) nth: usize,
    pub(crate) event: Event,
    /// Time since the event before on the connection.
    pub(crate) since: Duration,
    /// Messages of a long-poll response, with those of additional polls.
    pub(crate) messages: Option<Vec<String>>,
    /// Recorded token of the session of a poll.
    pub(crate) session: Option<String>,
}

/// A control call or a request around the proxy, and its answer.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) line: usize,
    pub(crate) title: String,
    /// The recorded status; a control call only has to succeed.
    pub(crate) recorded: Option<u16>,
    /// Status and body, or why there are none.
    pub(crate) actual: Result<(u16, String), String>,
}
