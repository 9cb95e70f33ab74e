//! The HTTP client of long polling: one request at a time on a connection that is kept.
//!
//! Long polling has exactly one GET and at most one POST in flight, so that two such connections are all a
//! client needs; a pool would only hide them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;

use crate::connector::{Connect, Target};

/// The largest answer that is read.
const MAX_ANSWER: usize = 16 << 20;

/// A connection that may be open.
pub(super) struct HttpConnection {
    connector: Arc<dyn Connect>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl HttpConnection {
    pub(super) fn new(connector: Arc<dyn Connect>) -> Self {
        Self { connector, sender: None }
    }

    /// Executes a request with a complete address, and with the headers that go with it.
    ///
    /// A request on a kept connection that the server has closed meanwhile is not repeated: it may have been
    /// handled.
    pub(super) async fn execute(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        let mut sender = match self.sender.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect(request.uri()).await?,
        };
        let response = sender.send_request(relative(request)).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
        self.sender = Some(sender);
        Ok(Response::from_parts(parts, body))
    }

    async fn connect(
        &self,
        uri: &http::Uri,
    ) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let target = Target::of(uri).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let stream = self.connector.connect(target).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP connection failed");
            }
        });
        Ok(sender)
    }
}

/// The request as it stands on a connection to its server: path only.
fn relative(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Default::default, http::Uri::from);
    request
}
