//! The client against servers in memory, over the byte streams that a connector of the test makes.

mod handles;
mod long_poll;
mod presence;
mod readme;
mod server;
mod tls;
mod websocket;
