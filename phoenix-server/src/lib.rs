//! Phoenix Channels server runtime on tokio: sockets, channels, PubSub.

mod http_facts;

pub use http_facts::{
    CheckOrigin, ConnectInfo, ConnectInfoError, ConnectInfoKey, ConnectInfoOptions, ConnectUri, CsrfState,
    Encryptor, HeaderList, HttpRequest, InvalidCookieName, InvalidCsrfState, InvalidSubprotocol, MaxAge,
    Negotiation, Origin, OriginPattern, OriginPatternError, OriginRefused, Param, ParamFilter, Params,
    ParamsError, PathParams, PathPattern, PathPatternError, PeerData, SameSite, SecretKeyBase,
    SecretTooShort, Session, SessionConfig, SessionStore, Signer, SubprotocolError, Subprotocols,
    TokenDataError, TokenError, UnixMillis, VsnNotText,
};
