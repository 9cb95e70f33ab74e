//! What a server must find out about an HTTP request before a socket exists: pure functions over the types of `http`
//! (protocol §7, §25, §26). Nothing here reads a clock, a random number or a socket.

mod origin;
mod params;
mod path;
mod request;
mod subprotocol;

pub use origin::{CheckOrigin, Origin, OriginPattern, OriginPatternError, OriginRefused};
pub use params::{Param, Params, ParamsError, VsnNotText};
pub use path::{PathParams, PathPattern, PathPatternError};
pub use request::{HttpRequest, PeerData};
pub use subprotocol::{InvalidSubprotocol, Negotiation, SubprotocolError, Subprotocols};
