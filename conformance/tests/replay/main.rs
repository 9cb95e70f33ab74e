//! Replays against servers made for the purpose.

mod comparison;
mod faults;
mod long_poll;
mod playback;
mod support;
mod tcp;
