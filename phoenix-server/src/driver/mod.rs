//! One task per connection: moves frames between a transport, the machine and the channels.

mod accepted;
mod channels;
mod closing;
mod connection;
mod dispatch;
mod raw;
mod timer;
mod websocket;
mod writing;

pub use accepted::Accepted;
pub(crate) use accepted::{AcceptedParts, Timeouts};
pub use dispatch::Driver;
pub(crate) use raw::RawParts;
pub(crate) use timer::now;
pub use websocket::WebSocket;
