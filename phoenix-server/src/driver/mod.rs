//! One task per connection: moves frames between a transport, the machine and the channels.

mod accepted;
mod channels;
mod connection;
mod timer;
mod websocket;

pub use accepted::Accepted;
pub(crate) use accepted::{AcceptedParts, Timeouts};
pub use connection::Driver;
pub(crate) use timer::now;
pub use websocket::WebSocket;
