//! Phoenix Channels server runtime on tokio: sockets, channels, PubSub.

mod http_facts;

pub use http_facts::{
    CheckOrigin, HttpRequest, InvalidSubprotocol, Negotiation, Origin, OriginPattern, OriginPatternError,
    OriginRefused, Param, Params, ParamsError, PathParams, PathPattern, PathPatternError, PeerData,
    SubprotocolError, Subprotocols, VsnNotText,
};
