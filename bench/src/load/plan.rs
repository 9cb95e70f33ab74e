//! What one run of the load does.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The shape of the load. Each mode has a preset of numbers: see [`Plan::preset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Echo, one in flight for each of 100 clients.
    Echo,
    /// Echo, 16 in flight for each of 50 clients.
    Echo16,
    /// Echo of a nested 4 KiB payload, one in flight for each of 100 clients.
    Echo4k,
    /// One publisher, 1000 subscribers, one broadcast in flight.
    Fanout1,
    /// One publisher, 100 subscribers, one broadcast in flight.
    Fanout100,
    /// One publisher, 10,000 subscribers, one broadcast in flight.
    Fanout10k,
    /// One publisher, 1000 subscribers, eight broadcasts in flight.
    Fanout8,
    /// 1000 clients in 100 rooms; every client broadcasts as soon as its last broadcast has arrived.
    Rooms,
    /// Connections opened, joined and closed, 32 at a time.
    Connect,
    /// 100 clients that join and leave one topic in turn.
    Churn,
    /// Memory of 5000 connections joined to one topic each, then to ten.
    Idle,
    /// 1000 long-poll sessions, each with an open poll and one echo at a time: one POST and one poll.
    Longpoll,
}

/// All numbers of one run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// What is done.
    pub mode: Mode,
    /// Connections: subscribers in the fan-out modes, where one more publishes.
    pub clients: usize,
    /// Messages each client (or publisher) has in flight.
    pub in_flight: usize,
    /// Bytes of a payload, about.
    pub size: usize,
    /// Whether the payload is nested rather than one long string.
    pub nested: bool,
    /// Rooms the clients are spread over.
    pub rooms: usize,
    /// Topics per connection in the second step of [`Mode::Idle`].
    pub topics: usize,
    /// Connections being opened at the same time.
    pub parallel: usize,
    /// When the run is over.
    pub bound: Bound,
    /// How long outstanding messages may make no progress before they count as lost.
    pub patience: Duration,
    /// How long a server may tidy up before its memory is read.
    pub settle: Duration,
    /// Whether to poll the sockets without sleeping: steadier, at the price of a whole core.
    pub busy: bool,
}

/// The end of a run.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// After this many messages sent, without a warm-up.
    Messages(u64),
    /// After a warm-up and a window that is measured.
    Time {
        /// Runs before the measurement.
        warmup: Duration,
        /// Is measured.
        window: Duration,
    },
}

impl Mode {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Echo16 => "echo16",
            Self::Echo4k => "echo4k",
            Self::Fanout1 => "fanout1",
            Self::Fanout100 => "fanout100",
            Self::Fanout10k => "fanout10k",
            Self::Fanout8 => "fanout8",
            Self::Rooms => "rooms",
            Self::Connect => "connect",
            Self::Churn => "churn",
            Self::Idle => "idle",
            Self::Longpoll => "longpoll",
        }
    }
}

impl Plan {
    /// The numbers the tables are made with: 128-byte payloads unless the mode says otherwise, one second of
    /// warm-up, three seconds measured.
    pub fn preset(mode: Mode) -> Self {
        let (clients, in_flight) = match mode {
            Mode::Echo | Mode::Echo4k | Mode::Churn | Mode::Fanout100 => (100, 1),
            Mode::Fanout10k => (10_000, 1),
            Mode::Echo16 => (50, 16),
            Mode::Fanout1 | Mode::Rooms | Mode::Connect | Mode::Longpoll => (1000, 1),
            Mode::Fanout8 => (1000, 8),
            Mode::Idle => (5000, 1),
        };
        Self {
            mode,
            clients,
            in_flight,
            size: if mode == Mode::Echo4k { 4096 } else { 128 },
            nested: mode == Mode::Echo4k,
            rooms: if mode == Mode::Rooms { 100 } else { 1 },
            topics: 10,
            parallel: 32,
            bound: Bound::Time { warmup: Duration::from_secs(1), window: Duration::from_secs(3) },
            patience: Duration::from_secs(5),
            settle: Duration::from_secs(1),
            busy: false,
        }
    }
}
