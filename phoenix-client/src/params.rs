//! Parameters of connections and joins.

use phoenix_proto::client::Source;
use phoenix_proto::{Json, Payload, PayloadError};
use serde::Serialize;

/// What a channel is joined with, or a socket connected with.
///
/// A `serde_json::Value` is one, `()` is the empty object, [`json`](Self::json) takes anything that can be
/// serialized, and [`function`](Self::function) is asked at every join or connect.
#[derive(Debug, Clone)]
pub struct Params(Source<Payload>);

impl Params {
    /// Serializes a value.
    ///
    /// # Errors
    /// Those of its `Serialize` implementation.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Payload::json(value).map(Self::from)
    }

    /// Asks a function at every attempt. It must neither block nor use the socket.
    pub fn function<T: Into<Payload>>(function: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self(Source::function(move || function().into()))
    }

    pub(crate) fn into_source(self) -> Source<Payload> {
        self.0
    }

    /// For a query, which has no place for anything but a JSON object.
    pub(crate) fn into_query(self) -> Source<Json> {
        let json = |payload: Payload| payload.as_json().cloned().unwrap_or(Json::EMPTY);
        match self.0 {
            Source::Value(payload) => Source::Value(json(payload)),
            Source::Function(function) => Source::function(move || json(function())),
        }
    }
}

impl From<Payload> for Params {
    fn from(payload: Payload) -> Self {
        Self(Source::Value(payload))
    }
}

impl From<serde_json::Value> for Params {
    fn from(value: serde_json::Value) -> Self {
        Payload::from(value).into()
    }
}

impl From<()> for Params {
    fn from((): ()) -> Self {
        Payload::EMPTY.into()
    }
}
