//! Replays recorded phoenix.js traffic against a server or the pure machines.
