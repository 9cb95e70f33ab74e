//! One task per connection: moves frames between a transport, the machine and the channels.

mod channels;
mod connection;
mod session;
mod timer;
mod websocket;

pub use connection::Driver;
pub use session::Session;
pub(crate) use session::{SessionParts, Timeouts};
pub use websocket::WebSocket;
