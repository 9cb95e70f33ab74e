//! The client socket, seen from outside: what it sends and tells for what it receives.

mod channel;
mod connection;
mod fallback;
mod order;
mod pair;
mod push;
mod replay;
mod rig;
