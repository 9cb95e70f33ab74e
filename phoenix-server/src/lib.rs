//! Phoenix Channels server runtime on tokio: sockets, channels, `PubSub`.

mod channel;
mod context;
mod crash;
mod driver;
mod endpoint;
mod handle;
mod http_facts;
mod inbox;
mod pubsub;
mod refused;
mod registry;
mod runner;
mod socket;
mod transport;
mod websocket;

pub use channel::{Channel, End, Flow, JoinError};
pub use context::{Context, ReplyError};
pub use crash::Crash;
pub use driver::{Accepted, Driver, WebSocket};
pub use endpoint::{
    AcceptError, Answer, Endpoint, EndpointBuilder, EndpointError, ErrorHandler, SocketOptions,
    TransportOptions, Upgrade, WebSocketOptions,
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
pub use pubsub::{BroadcastError, PubSub, Subscription, SubscriptionError};
pub use refused::Refused;
pub use socket::{Router, Socket};
pub use transport::{Disconnect, Outgoing, Transport};

pub use phoenix_proto::server::CloseCode;
pub use phoenix_proto::{
    Broadcast, EncodeError, Event, Frame, Incoming, Json, Opcode, PatternError, Payload, PayloadError, Ref,
    Requirement, Serializer, Serializers, Status, Text, V1, V2,
};
