use std::fmt;
use std::sync::Arc;

use http::header::{SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{CheckOrigin, HttpRequest, Negotiation, Params, PeerData, Session, SessionStore, UnixMillis};

/// What the application learns about a request when it decides whether to let a socket connect (protocol §7.6).
///
/// Besides the parameters it only has what its mount has selected with [`ConnectInfoOptions`]; the rest is empty.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The parameters of query and path.
    pub params: Params,
    /// The peer, if selected.
    pub peer_data: Option<PeerData>,
    /// The headers `traceparent` and `tracestate`.
    pub trace_context_headers: HeaderList,
    /// The headers whose names start with `x-`.
    pub x_headers: HeaderList,
    /// The URI of the request, if selected.
    pub uri: Option<ConnectUri>,
    /// The header `user-agent`, invalid UTF-8 replaced.
    pub user_agent: Option<String>,
    /// The headers whose names start with `sec-websocket-`, without an authentication token.
    pub sec_websocket_headers: HeaderList,
    /// The session of the browser. `None` if its cookie or its CSRF token is missing or not valid; that does not refuse
    /// the connection.
    pub session: Option<Session>,
    /// The authentication token that the client sent outside of the parameters.
    pub auth_token: Option<String>,
    /// The values that the mount adds to each of its connections.
    pub custom: Map<String, Value>,
    selected: Vec<ConnectInfoKey>,
}

/// A part of [`ConnectInfo`] that is only filled if it is selected (FEATURES D30 to D39).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectInfoKey {
    /// [`ConnectInfo::peer_data`].
    PeerData,
    /// [`ConnectInfo::trace_context_headers`].
    TraceContextHeaders,
    /// [`ConnectInfo::x_headers`].
    XHeaders,
    /// [`ConnectInfo::uri`].
    Uri,
    /// [`ConnectInfo::user_agent`].
    UserAgent,
    /// [`ConnectInfo::sec_websocket_headers`].
    SecWebsocketHeaders,
    /// [`ConnectInfo::session`]; selected by naming a store.
    Session,
    /// [`ConnectInfo::auth_token`].
    AuthToken,
}

/// Which parts of [`ConnectInfo`] a transport of a mount fills.
#[derive(Debug, Clone)]
pub struct ConnectInfoOptions {
    keys: Vec<ConnectInfoKey>,
    session: Option<SessionSource>,
    check_csrf: bool,
    custom: Map<String, Value>,
}

/// Options that an endpoint must not start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectInfoError {
    /// Neither the origin nor the CSRF token is checked: any page could act for its visitors (FEATURES D40).
    #[error("a transport must check the origin or the CSRF token")]
    Unprotected,
    /// The session is selected without a store.
    #[error("the session is selected, but no store is given")]
    SessionWithoutStore,
}

/// Headers with names in lower case, duplicates included.
///
/// They are in the order of the request, but all of one name follow the first of that name, because that is how the
/// crate `http` keeps them. Serializes to a list of pairs, invalid UTF-8 replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderList(Vec<(HeaderName, HeaderValue)>);

/// The URI of a request as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectUri {
    /// `http` or `https`, also for a WebSocket.
    pub scheme: String,
    /// The host that the client asked for, without port.
    pub host: String,
    /// The same as the host, without port.
    pub authority: String,
    /// The port that the client asked for or the default one of the scheme.
    pub port: u16,
    /// The path as it was sent, including that of the transport.
    pub path: String,
    /// The query string as it was sent; empty if there was none.
    pub query: String,
}

/// Where the session comes from: a store that is known or one that is asked for at each connection.
#[derive(Clone)]
enum SessionSource {
    Fixed(Arc<SessionStore>),
    Dynamic(Arc<dyn Fn() -> Arc<SessionStore> + Send + Sync>),
}

const LONGPOLL_AUTH_TOKEN: &str = "x-phoenix-authtoken";

impl Default for ConnectInfoOptions {
    fn default() -> Self {
        Self { keys: Vec::new(), session: None, check_csrf: true, custom: Map::new() }
    }
}

impl ConnectInfoOptions {
    /// Selects parts.
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = ConnectInfoKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Selects the session, read from this store.
    pub fn with_session(self, store: Arc<SessionStore>) -> Self {
        self.with_session_source(SessionSource::Fixed(store))
    }

    /// Selects the session, read from the store that the function returns at each connection.
    pub fn with_session_from(self, store: impl Fn() -> Arc<SessionStore> + Send + Sync + 'static) -> Self {
        self.with_session_source(SessionSource::Dynamic(Arc::new(store)))
    }

    /// Whether a session needs a valid CSRF token; `true` by default.
    pub fn with_check_csrf(mut self, check_csrf: bool) -> Self {
        self.check_csrf = check_csrf;
        self
    }

    /// Adds a value to each connection.
    pub fn with_custom(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom.insert(name.into(), value.into());
        self
    }

    /// To be called once before the transport is served, with the check of the origin that is in force for it.
    pub fn validate(&self, check_origin: &CheckOrigin) -> Result<(), ConnectInfoError> {
        if matches!(check_origin, CheckOrigin::Off) && !self.check_csrf {
            return Err(ConnectInfoError::Unprotected);
        }
        if self.keys.contains(&ConnectInfoKey::Session) && self.session.is_none() {
            return Err(ConnectInfoError::SessionWithoutStore);
        }
        Ok(())
    }

    /// What the application learns about a request for a WebSocket whose subprotocol is negotiated.
    pub fn for_websocket(
        &self,
        request: &HttpRequest,
        params: Params,
        negotiation: &Negotiation,
        now: UnixMillis,
    ) -> ConnectInfo {
        self.gather(request, params, Some(negotiation), now)
    }

    /// What the application learns about the request that opens a long-poll session.
    pub fn for_longpoll(&self, request: &HttpRequest, params: Params, now: UnixMillis) -> ConnectInfo {
        self.gather(request, params, None, now)
    }

    fn gather(
        &self,
        request: &HttpRequest,
        params: Params,
        negotiation: Option<&Negotiation>,
        now: UnixMillis,
    ) -> ConnectInfo {
        let mut info = ConnectInfo {
            custom: self.custom.clone(),
            selected: self.keys.clone(),
            ..ConnectInfo::default()
        };
        let headers = request.headers();
        for key in &self.keys {
            match key {
                ConnectInfoKey::PeerData => info.peer_data = Some(request.peer().clone()),
                ConnectInfoKey::TraceContextHeaders => {
                    info.trace_context_headers =
                        HeaderList::select(headers, |name| matches!(name, "traceparent" | "tracestate"));
                }
                ConnectInfoKey::XHeaders => {
                    info.x_headers = HeaderList::select(headers, |name| name.starts_with("x-"));
                }
                ConnectInfoKey::Uri => info.uri = Some(ConnectUri::of(request)),
                ConnectInfoKey::UserAgent => info.user_agent = headers.get(USER_AGENT).map(lossy),
                ConnectInfoKey::SecWebsocketHeaders => {
                    let all = HeaderList::select(headers, |name| name.starts_with("sec-websocket-"));
                    info.sec_websocket_headers = match negotiation {
                        Some(negotiation) => all.without_token(headers, negotiation),
                        None => all,
                    };
                }
                ConnectInfoKey::Session => info.session = self.session(headers, &params, now),
                ConnectInfoKey::AuthToken => {
                    info.auth_token = match negotiation {
                        Some(negotiation) => negotiation.auth_token.clone(),
                        None => headers.get(LONGPOLL_AUTH_TOKEN).map(lossy),
                    };
                }
            }
        }
        info.params = params;
        info
    }

    fn session(&self, headers: &HeaderMap, params: &Params, now: UnixMillis) -> Option<Session> {
        let store = match self.session.as_ref()? {
            SessionSource::Fixed(store) => Arc::clone(store),
            SessionSource::Dynamic(store) => store(),
        };
        if self.check_csrf { store.decode_checked(headers, params, now) } else { store.decode(headers, now) }
    }

    fn with_session_source(mut self, source: SessionSource) -> Self {
        self.session = Some(source);
        self.with_keys([ConnectInfoKey::Session])
    }
}

impl ConnectInfo {
    /// Whether a part was selected; tells an absent header from one that was not asked for.
    pub fn has(&self, key: ConnectInfoKey) -> bool {
        self.selected.contains(&key)
    }
}

impl HeaderList {
    /// The value of the first header of that name (in lower case) if it is visible ASCII.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(header, _)| *header == name).and_then(|(_, value)| value.to_str().ok())
    }

    /// Names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    fn select(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Self {
        let found = headers.iter().filter(|(name, _)| wanted(name.as_str()));
        Self(found.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Puts what is left of the offered subprotocols in the place of the offer.
    fn without_token(mut self, headers: &HeaderMap, negotiation: &Negotiation) -> Self {
        let Some(at) = self.0.iter().position(|(name, _)| name == SEC_WEBSOCKET_PROTOCOL) else {
            return self;
        };
        self.0.retain(|(name, _)| name != SEC_WEBSOCKET_PROTOCOL);
        let remaining = negotiation.remaining_offer(headers);
        self.0.splice(at..at, remaining.map(|offer| (SEC_WEBSOCKET_PROTOCOL, offer.clone())));
        self
    }
}

impl Serialize for HeaderList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(name, value)| (name.as_str(), lossy(value))))
    }
}

impl ConnectUri {
    fn of(request: &HttpRequest) -> Self {
        Self {
            scheme: request.scheme().to_owned(),
            host: request.host().to_owned(),
            authority: request.host().to_owned(),
            port: request.port(),
            path: request.path().to_owned(),
            query: request.query().to_owned(),
        }
    }
}

impl fmt::Debug for SessionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(store) => store.fmt(f),
            Self::Dynamic(_) => f.write_str("Dynamic"),
        }
    }
}

fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
