//! What a server must find out about an HTTP request before a socket exists: pure functions over the types of `http`
//! (protocol §7, §25, §26). Nothing here reads a clock, a random number or a socket.
//!
//! An endpoint asks for them in the order of protocol §7.2:
//!
//! 1. [`PathPattern::match_path`]: is it a transport of ours, and what are the variables of the path?
//! 2. [`Params::parse`] and [`Params::with_path`].
//! 3. [`CheckOrigin::check`].
//! 4. [`Subprotocols::negotiate`]: authentication token and subprotocol, only for a WebSocket.
//! 5. [`ConnectInfoOptions::for_websocket`] or [`ConnectInfoOptions::for_longpoll`].
//! 6. [`Params::vsn`], to be negotiated with the serializers, before the application is asked.

mod connect_info;
mod csrf;
mod encryptor;
mod filter;
mod origin;
mod params;
mod path;
mod request;
mod secret;
mod session;
mod signer;
mod subprotocol;
mod token;

pub use connect_info::{
    ConnectInfo, ConnectInfoError, ConnectInfoKey, ConnectInfoOptions, ConnectUri, HeaderList,
};
pub use csrf::{CsrfState, InvalidCsrfState};
pub use encryptor::Encryptor;
pub use filter::ParamFilter;
pub use origin::{CheckOrigin, Origin, OriginPattern, OriginPatternError, OriginRefused};
pub use params::{Param, Params, ParamsError, VsnNotText};
pub use path::{PathParams, PathPattern, PathPatternError};
pub use request::{HttpRequest, PeerData};
pub use secret::{SecretKeyBase, SecretTooShort};
pub use session::{InvalidCookieName, SameSite, Session, SessionConfig, SessionStore};
pub use signer::Signer;
pub use subprotocol::{InvalidSubprotocol, Negotiation, SubprotocolError, Subprotocols};
pub use token::{MaxAge, TokenDataError, TokenError, UnixMillis};
