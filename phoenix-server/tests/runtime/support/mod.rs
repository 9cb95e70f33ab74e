//! An application to talk to, and clients of it over two transports.

mod app;
mod client;
mod memory;
mod websocket;

pub(crate) use app::{Info, Probe, endpoint, probe};
pub(crate) use client::{Client, broadcast, closed, crashed, pushed, reply_to};
pub(crate) use memory::{MemoryEnd, memory};
pub(crate) use websocket::{connect_websocket, frame, upgrade_request, websocket};
