use std::net::SocketAddr;

use bytes::Bytes;
use http::header::AsHeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, Version, header};

/// The facts about an HTTP request that an adapter hands over: everything but the body.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    parts: Parts,
    peer: PeerData,
    tls: bool,
    original_uri: Option<Uri>,
}

/// Who is at the other end of the connection (FEATURES D30).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerData {
    /// Address and port; `None` for transports without them, such as Unix sockets.
    pub address: Option<SocketAddr>,
    /// The DER-encoded certificate of the client; `None` without TLS or without a client certificate.
    pub tls_certificate: Option<Bytes>,
}

impl HttpRequest {
    /// A request over plain HTTP from an unknown peer; the `with_` methods tell more.
    pub fn new(parts: Parts) -> Self {
        Self { parts, peer: PeerData::default(), tls: false, original_uri: None }
    }

    /// Tells who sent the request.
    pub fn with_peer(mut self, peer: PeerData) -> Self {
        self.peer = peer;
        self
    }

    /// Tells whether it came over TLS, that is with scheme `https`.
    pub fn with_tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Tells the URI as the client sent it, if the framework has rewritten it (stripped a prefix, for example).
    pub fn with_original_uri(mut self, uri: Uri) -> Self {
        self.original_uri = Some(uri);
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The version of HTTP.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The first header of that name.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&HeaderValue> {
        self.parts.headers.get(name)
    }

    /// The URI as the client sent it.
    pub fn uri(&self) -> &Uri {
        self.original_uri.as_ref().unwrap_or(&self.parts.uri)
    }

    /// The path as the client sent it, not percent-decoded.
    pub fn path(&self) -> &str {
        self.uri().path()
    }

    /// The path by which the request is routed: without what the framework has stripped.
    pub fn routed_path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The query string as the client sent it, without the `?`; empty if there is none.
    pub fn query(&self) -> &str {
        self.uri().query().unwrap_or_default()
    }

    /// Who sent the request.
    pub fn peer(&self) -> &PeerData {
        &self.peer
    }

    /// `http` or `https`, also for an upgrade to a WebSocket.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The host that the client asked for, without port, case kept; empty if it named none.
    ///
    /// The host of an absolute request target wins over the `host` header (RFC 9112 §3.2.2).
    pub fn host(&self) -> &str {
        split_port(self.authority()).0
    }

    /// The port that the client asked for; without one the default of the scheme.
    pub fn port(&self) -> u16 {
        let given = split_port(self.authority()).1.and_then(|port| port.parse().ok());
        given.unwrap_or(if self.tls { 443 } else { 80 })
    }

    fn authority(&self) -> &str {
        let authority = match self.uri().authority() {
            Some(authority) => authority.as_str(),
            None => self.header(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        };
        authority.rsplit_once('@').map_or(authority, |(_user_info, authority)| authority)
    }
}

/// Host and port of an authority without user info; the colons of an IPv6 literal are none of a port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn host_and_port_come_from_the_host_header() {
        for (host, tls, expected) in [
            ("example.com:4000", false, ("example.com", 4000)),
            ("example.com", false, ("example.com", 80)),
            ("example.com", true, ("example.com", 443)),
            ("Example.com:x", true, ("Example.com", 443)),
            ("[::1]:4000", false, ("[::1]", 4000)),
            ("[::1]", false, ("[::1]", 80)),
        ] {
            let request = request(Request::get("/").header("host", host)).with_tls(tls);
            assert_eq!((request.host(), request.port()), expected, "{host}");
        }
        assert_eq!(request(Request::get("/")).host(), "");
    }

    #[test]
    fn an_absolute_target_wins_over_the_host_header() {
        let request = request(Request::get("http://me:1@a.com:81/x?y").header("host", "b.com:82"));
        assert_eq!(
            (request.host(), request.port(), request.path(), request.query()),
            ("a.com", 81, "/x", "y")
        );
    }

    #[test]
    fn the_original_uri_is_what_counts() {
        let request = request(Request::get("/websocket?a=1"))
            .with_original_uri(Uri::from_static("/socket/websocket?a=1"));
        assert_eq!((request.path(), request.query()), ("/socket/websocket", "a=1"));
    }

    fn request(builder: http::request::Builder) -> HttpRequest {
        HttpRequest::new(builder.body(()).unwrap().into_parts().0)
    }
}
