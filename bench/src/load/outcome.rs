//! What one run found.

use serde::{Deserialize, Serialize};

use super::latency::Percentiles;
use super::plan::Mode;

/// The figures of one run. A figure that the mode does not have, or that needs the server's process, is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// What was done.
    pub mode: Mode,
    /// Messages counted in the window: replies, deliveries, connections, pairs of join and leave, or polls.
    pub messages: u64,
    /// Messages per second.
    pub rate: Option<f64>,
    /// CPU-seconds of the server per million messages.
    pub cpu_seconds_per_million: Option<f64>,
    /// CPU-seconds per second that neither the server nor the load used: what disturbed the measurement.
    pub foreign_cpu: Option<f64>,
    /// How long a message took.
    pub latency: Option<Percentiles>,
    /// KiB resident per idle connection joined to one topic; with long polling per session with an open poll.
    pub kib_per_connection: Option<f64>,
    /// KiB resident per further topic of a connection.
    pub kib_per_topic: Option<f64>,
    /// KiB resident per long-poll session that no connection belongs to.
    pub kib_per_session: Option<f64>,
    /// KiB resident per idle HTTP connection that belongs to no session.
    pub kib_per_http: Option<f64>,
    /// Messages that never came.
    pub lost: u64,
    /// Messages that came after a later one of the same sender.
    pub misordered: u64,
    /// Refused, garbled or unasked-for messages, and breaches of WebSocket or HTTP.
    pub unexpected: u64,
    /// Connections the server ended.
    pub disconnected: u64,
}

impl Outcome {
    /// Nothing found yet, and nothing wrong.
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            messages: 0,
            rate: None,
            cpu_seconds_per_million: None,
            foreign_cpu: None,
            latency: None,
            kib_per_connection: None,
            kib_per_topic: None,
            kib_per_session: None,
            kib_per_http: None,
            lost: 0,
            misordered: 0,
            unexpected: 0,
            disconnected: 0,
        }
    }

    /// Whether nothing was lost, reordered, refused or ended.
    pub fn is_clean(&self) -> bool {
        [self.lost, self.misordered, self.unexpected, self.disconnected] == [0; 4]
    }
}
