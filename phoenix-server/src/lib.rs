//! Phoenix Channels server runtime on tokio: sockets, channels, PubSub.

mod http_facts;

pub use http_facts::{
    HttpRequest, Param, Params, ParamsError, PathParams, PathPattern, PathPatternError, PeerData, VsnNotText,
};
