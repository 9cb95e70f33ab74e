//! What a server must find out about an HTTP request before a socket exists: pure functions over the types of `http`
//! (protocol §7, §25, §26). Nothing here reads a clock, a random number or a socket.

mod connect_info;
mod csrf;
mod filter;
mod origin;
mod params;
mod path;
mod request;
mod secret;
mod session;
mod subprotocol;
mod token;

pub use connect_info::{
    ConnectInfo, ConnectInfoError, ConnectInfoKey, ConnectInfoOptions, ConnectUri, HeaderList,
};
pub use csrf::{CsrfState, InvalidCsrfState};
pub use filter::ParamFilter;
pub use origin::{CheckOrigin, Origin, OriginPattern, OriginPatternError, OriginRefused};
pub use params::{Param, Params, ParamsError, VsnNotText};
pub use path::{PathParams, PathPattern, PathPatternError};
pub use request::{HttpRequest, PeerData};
pub use secret::{SecretKeyBase, SecretTooShort};
pub use session::{InvalidCookieName, SameSite, Session, SessionConfig, SessionStore};
pub use subprotocol::{InvalidSubprotocol, Negotiation, SubprotocolError, Subprotocols};
pub use token::{Encryptor, MaxAge, Signer, TokenDataError, TokenError, UnixMillis};
