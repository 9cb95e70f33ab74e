//! An application to talk to, and clients of it over two transports.

mod app;
mod client;
mod memory;
mod websocket;

pub(crate) use app::{Info, PATIENCE, Probe, TestSocket, endpoint, endpoint_with, probe};
pub(crate) use client::{Client, broadcast, closed, crashed, pushed, reply_to};
pub(crate) use memory::{MemoryEnd, memory, memory_at, memory_with_room};
pub(crate) use websocket::{RawClient, connect_websocket, frame, upgrade, upgrade_request, websocket};
