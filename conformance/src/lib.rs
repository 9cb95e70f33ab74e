//! Replays recorded phoenix.js traffic against any Phoenix Channels server and reports every difference.

mod json;
pub mod recording;
mod wire;
