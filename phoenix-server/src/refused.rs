use std::any::Any;
use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};

/// A connection that [`Socket::connect`](crate::Socket::connect) does not accept (FEATURES A5, A6).
///
/// A WebSocket request is answered with the [response](Self::respond) if there is one, by the mount's error
/// handler if it has one, and with 403 and no body otherwise. Long polling knows nothing but 403.
#[derive(Default)]
pub struct Refused {
    reason: Option<Box<dyn Any + Send + Sync>>,
    response: Option<Box<Response<Bytes>>>,
}

impl Refused {
    /// A refusal without a reason.
    pub fn new() -> Self {
        Self::default()
    }

    /// A refusal with a reason for the mount's error handler.
    pub fn because(reason: impl Any + Send + Sync) -> Self {
        Self { reason: Some(Box::new(reason)), response: None }
    }

    /// A refusal with an HTTP answer of its own.
    pub fn respond(response: Response<Bytes>) -> Self {
        Self { reason: None, response: Some(Box::new(response)) }
    }

    /// The reason, if there is one of this type.
    pub fn reason<T: 'static>(&self) -> Option<&T> {
        self.reason.as_deref()?.downcast_ref()
    }

    pub(crate) fn has_reason(&self) -> bool {
        self.reason.is_some()
    }

    /// The HTTP status of the answer unless an error handler gives another one.
    pub(crate) fn status(&self) -> StatusCode {
        self.response.as_ref().map_or(StatusCode::FORBIDDEN, |response| response.status())
    }

    /// The HTTP answer unless an error handler gives another one.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        match self.response {
            Some(response) => *response,
            None => empty(StatusCode::FORBIDDEN),
        }
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("has_reason", &self.reason.is_some())
            .field("status", &self.response.as_ref().map(|response| response.status()))
            .finish()
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
