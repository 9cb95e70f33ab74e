//! Phoenix Channels server runtime on tokio: sockets, channels, PubSub.

mod channel;
mod context;
mod crash;
mod driver;
mod handle;
mod inbox;
mod pubsub;
mod registry;
mod runner;
mod socket;
mod transport;

pub use channel::{Channel, End, Flow, JoinError};
pub use context::{Context, ReplyError};
pub use crash::Crash;
pub use driver::{Driver, Session};
pub use handle::{ChannelHandle, ReplyTo, SendError};
pub use inbox::{QueueLimits, SlowConsumer};
pub use pubsub::{BroadcastError, PubSub, Subscription, SubscriptionError};
pub use socket::{Router, Socket};
pub use transport::{Disconnect, Outgoing, Transport};

pub use phoenix_proto::server::CloseCode;
pub use phoenix_proto::{Broadcast, Event, Frame, Incoming, Json, Opcode, Payload, PayloadError, Ref, Status, Text};

/// What a client tells when it connects.
#[derive(Debug)]
pub struct ConnectInfo;
/// A refused connection.
#[derive(Debug)]
pub struct Refused;
