//! A difference between a recording and what a server did.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::recording::Conn;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Something recorded did not come.
    Missing,
    /// Something came that is not recorded.
    Extra,
    /// A frame or message has another content.
    Changed,
    /// A frame came before another one it must follow.
    Order,
    /// A close frame has another code or reason.
    CloseCode,
    /// A response has another status.
    Status,
    /// A response lacks a header, has it in addition, or has another value.
    Header,
    /// A response has another body.
    Body,
    /// Values that vary were equal where they must differ, or the other way round.
    Identity,
    /// Something came much sooner than the recorded timer allows.
    Early,
    /// Something came much later than recorded.
    Late,
    /// A connection was accepted where it was refused, or the other way round.
    Connection,
    /// A control call or a request around the proxy failed or was answered differently.
    Call,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
            Self::Order => "order",
            Self::CloseCode => "close-code",
            Self::Status => "status",
            Self::Header => "header",
            Self::Body => "body",
            Self::Identity => "identity",
            Self::Early => "early",
            Self::Late => "late",
            Self::Connection => "connection",
            Self::Call => "call",
        })
    }
}

/// A difference between a recording and what a server did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Name of the recording.
    pub recording: String,
    /// Label of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn: Option<Conn>,
    /// Line of the recording, counted from 1; what is [`Kind::Extra`] has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What differs.
    pub kind: Kind,
    /// What the recording has; empty for [`Kind::Extra`].
    pub recorded: String,
    /// What the server did; empty for [`Kind::Missing`].
    pub actual: String,
    /// Id of the listed deviation that allows this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.recording)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let (Some(client), Some(conn)) = (&self.client, self.conn) {
            write!(f, " client {client} connection {conn}")?;
        }
        write!(f, ": {}", self.kind)
    }
}
