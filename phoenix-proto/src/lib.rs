//! Phoenix Channels as pure state machines: no IO, no clock, no tasks.

pub mod presence;
