//! A server for Phoenix Channels on tokio: sockets, channels, PubSub.
//!
//! ```
//! use phoenix_server::{Channel, Context, Crash, Flow, JoinError, Payload, Status};
//! use phoenix_server::{ConnectInfo, Endpoint, Refused, Router, Socket, SocketOptions};
//!
//! /// Who connects.
//! struct UserSocket;
//!
//! impl Socket for UserSocket {
//!     async fn connect(_info: ConnectInfo) -> Result<Self, Refused> {
//!         Ok(Self)
//!     }
//!
//!     fn channels(router: &mut Router<Self>) {
//!         router.channel::<Room>("room:*");
//!     }
//! }
//!
//! /// One client in one room.
//! struct Room;
//!
//! impl Channel for Room {
//!     type Socket = UserSocket;
//!     type Info = ();
//!
//!     async fn join(_params: Payload, _cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
//!         Ok((Self, Payload::EMPTY))
//!     }
//!
//!     async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
//!         cx.broadcast(event, payload)?;
//!         Ok(Flow::reply(Status::OK))
//!     }
//! }
//!
//! let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
//! assert!(endpoint.serves("/socket/websocket"));
//! # Ok::<(), phoenix_server::EndpointError>(())
//! ```
//!
//! An [`Endpoint`] is mounted in a web framework by `phoenix-adapter-warp`, `phoenix-adapter-actix`,
//! `phoenix-adapter-axum` or `phoenix-adapter-hyper`; a [`Transport`] of your own needs none of them.
//!
//! * A [`Socket`] decides who may connect and which topics are served. One value lives as long as its connection.
//! * A [`Channel`] is one joined topic of one client; its value is its state. What it can do besides returning a
//!   [`Flow`] is in its [`Context`].
//! * A [`RawSocket`] is a socket without channels: frames in, frames out, in a format of its own.
//! * [`Endpoint`], [`PubSub`], [`ChannelHandle`], [`ReplyTo`] and [`RawHandle`] reach clients from anywhere in the program.
//! * [`Presence`] says who is where, on all nodes, and tells the clients.
//! * [`SocketOptions`] and [`WebSocketOptions`] are the options of Phoenix with their defaults; [`CheckOrigin`],
//!   [`ConnectInfo`], [`Signer`] and [`SessionStore`] say who comes from where.
//!
//! * [`testing`] talks to channels in tests, without a network.
//!
//! # Concurrency
//!
//! A connection is one task, which also polls the callbacks of its channels. Callbacks of one channel run one after
//! the other; one that *waits* delays nobody else. One that *blocks its thread* delays the other channels of its
//! connection: use `tokio::task::spawn_blocking` for that, and [`Context::reply_to`] for the answer.
//!
//! An error or a panic in a callback ends that channel with `phx_error`, and its client joins again.
//!
//! # Limits
//!
//! [`QueueLimits`] bounds what waits for a client, in frames and bytes, and what waits for each of its channels, infos and
//! intercepted broadcasts. A client that does not keep up is disconnected with 1013, whoever sends infos to a channel
//! that does not gets an error. A connection whose channels are 256 messages behind is not read until they catch up.
//! [`Endpoint::dropped`] and [`SubscriptionError::Lagged`] tell what did not arrive.
//!
//! # Logs
//!
//! Everything goes through `tracing`, in a span `socket` for each connection and `channel` for each callback. The levels of
//! connections, joins, messages and drains are options of sockets, channels and drains. Parameters and payloads are logged
//! at TRACE only, as [`EndpointBuilder::filter_parameters`] lets them; a crash is logged with the message of its error,
//! which is yours. [`Telemetry`] gets the same as events with durations, [`Endpoint::sockets`] tells who is connected.

mod channel;
mod context;
mod crash;
mod debug;
mod driver;
mod endpoint;
mod handle;
mod http_facts;
mod inbox;
mod presence;
mod pubsub;
mod raw;
mod refused;
mod registry;
mod runner;
mod shield;
mod socket;
mod telemetry;
pub mod testing;
mod transport;
mod websocket;

pub use channel::{Channel, End, Flow, JoinError};
pub use context::{Context, ReplyError};
pub use crash::Crash;
pub use debug::{InspectError, SocketInfo};
pub use driver::{Accepted, Driver, WebSocket};
pub use endpoint::{
    AcceptError, Answer, DrainOptions, Drained, Drainer, Endpoint, EndpointBuilder, EndpointError,
    ErrorHandler, LongPoll, LongPollOptions, SocketOptions, TransportOptions, Upgrade, WebSocketOptions,
};
pub use handle::{ChannelHandle, ReplyTo, SendError};
pub use http_facts::{
    CheckOrigin, ConnectInfo, ConnectInfoError, ConnectInfoKey, ConnectInfoOptions, ConnectUri, CsrfState,
    Encryptor, HeaderList, HttpRequest, InvalidCookieName, InvalidCsrfState, InvalidSubprotocol, MaxAge,
    Negotiation, Origin, OriginPattern, OriginPatternError, OriginRefused, Param, ParamFilter, Params,
    ParamsError, PathParams, PathPattern, PathPatternError, PeerData, SameSite, SecretKeyBase,
    SecretTooShort, Session, SessionConfig, SessionStore, Signer, SubprotocolError, Subprotocols,
    TokenDataError, TokenError, UnixMillis, VsnNotText,
};
pub use inbox::{QueueLimits, SlowConsumer};
pub use presence::{
    Presence, PresenceBuilder, PresenceError, PresenceObserver, PresenceOwner, PresenceStats, TrackError,
    UnknownPresence, UpdateError,
};
pub use pubsub::{
    Backoff, BroadcastError, Connector, Engine, Inbound, InterestChanges, Interests, Link, LocalCluster,
    LocalEngine, NodeName, Outbox, Port, PubSub, PubSubBuilder, PubSubStats, Publication, PublishError,
    Route, Subscription, SubscriptionError, keep_connected,
};
pub use raw::{Close, RawContext, RawFlow, RawHandle, RawSocket};
pub use refused::Refused;
pub use socket::{Router, Socket};
pub use telemetry::{ChannelHandledIn, ChannelJoined, EndpointInit, SocketConnected, SocketDrain, Telemetry};
pub use transport::{Control, Disconnect, Outgoing, RawIncoming, Transport};
pub use websocket::DeflateOptions;

pub use phoenix_proto::presence::{
    Entry, Meta, MetaTooLarge, PhxRef, Presence as KeyPresence, PresenceDiff, Presences, ReplicaStatus,
    TopicList, TrackerConfig, TrackerConfigError,
};
pub use phoenix_proto::server::{ChannelInfo, ChannelStatus, CloseCode};
pub use tracing::level_filters::LevelFilter;

pub use phoenix_proto::{
    Broadcast, ControlTooLong, EncodeError, Event, Frame, Incoming, Json, Opcode, PatternError, Payload,
    PayloadError, Ref, Requirement, Serializer, Serializers, Status, Text, V1, V2,
};
