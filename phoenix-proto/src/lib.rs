//! Phoenix Channels as pure state machines: no IO, no clock, no tasks.
