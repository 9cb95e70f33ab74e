use std::fmt;
use std::net::SocketAddr;

use http::{HeaderName, HeaderValue, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::TestSocket;
use crate::http_facts::{HttpRequest, PeerData};
use crate::{AcceptError, Endpoint};

/// The request by which a [`TestSocket`] connects; what `connect` learns of it is up to the options of the mount
/// (FEATURES M6, M7).
#[must_use = "a request does nothing until it connects"]
pub struct TestRequest {
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    peer: PeerData,
    tls: bool,
}

impl TestRequest {
    pub(super) fn new(target: &str) -> Self {
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{separator}vsn=2.0.0");
        Self { target, headers: Vec::new(), peer: PeerData::default(), tls: false }
    }

    /// Adds a parameter.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        for (separator, text) in [('&', name), ('=', value)] {
            self.target.push(separator);
            self.target.extend(utf8_percent_encode(text, NON_ALPHANUMERIC));
        }
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If name or value are not valid.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((
            name.parse().expect("a valid name of a header"),
            value.parse().expect("a valid value of a header"),
        ));
        self
    }

    /// Sends a token outside of the parameters, for a mount with [`SocketOptions::auth_token`](crate::SocketOptions).
    ///
    /// # Panics
    /// If the token cannot be a header.
    pub fn auth_token(self, token: &str) -> Self {
        self.header("x-phoenix-authtoken", token)
    }

    /// Sets the address of the client.
    pub fn peer(mut self, address: SocketAddr) -> Self {
        self.peer.address = Some(address);
        self
    }

    /// Lets the request come over TLS.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Connects (FEATURES M6).
    ///
    /// # Errors
    /// [`AcceptError`] as the socket's `connect` and the checks of the mount decide.
    ///
    /// # Panics
    /// If the target is no path with a query, and outside of a tokio runtime.
    pub async fn connect(self, endpoint: &Endpoint) -> Result<TestSocket, AcceptError> {
        let mut parts = Request::get(self.target).body(()).expect("a path with a query").into_parts().0;
        parts.headers.extend(self.headers);
        let request = HttpRequest::new(parts).with_peer(self.peer).with_tls(self.tls);
        let accepted = endpoint.accept_for_test(&request).await?;
        Ok(TestSocket::run(accepted, endpoint.pubsub()))
    }
}

impl fmt::Debug for TestRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRequest").finish_non_exhaustive()
    }
}
