use std::fmt;

use crate::json::write_string;
use crate::{Json, Payload, Ref, Text};

/// A message from a client, or one that a server pushes to it (protocol §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which join of the topic it belongs to.
    pub join_ref: Option<Ref>,
    /// What a reply to it has to carry; `None` in everything a server pushes.
    pub reference: Option<Ref>,
    /// The topic.
    pub topic: Topic,
    /// The event.
    pub event: Event,
    /// The payload.
    pub payload: Payload,
}

/// The answer to one message; on the wire always the event `phx_reply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Which join of the topic it belongs to.
    pub join_ref: Option<Ref>,
    /// The reference of the message that is answered.
    pub reference: Option<Ref>,
    /// The topic.
    pub topic: Topic,
    /// How it went.
    pub status: Status,
    /// The response: any JSON value, or raw bytes.
    pub payload: Payload,
}

/// An event for all subscribers of a topic; on the wire both references are null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// The topic.
    pub topic: Text,
    /// The event.
    pub event: Text,
    /// The payload: a JSON object or raw bytes.
    pub payload: Payload,
}

/// The outcome that a reply reports: `ok`, `error` or a word of the application's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Status(Text);

impl Status {
    /// The conventional success.
    pub const OK: Self = Self(Text::from_static("ok"));
    /// The conventional failure.
    pub const ERROR: Self = Self(Text::from_static("error"));

    /// A status of the application's own; phoenix.js hooks can match any word.
    pub fn new(status: impl Into<Text>) -> Self {
        Self(status.into())
    }

    /// The status as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The topic of a message as the client sent it.
///
/// A topic is a string; but Phoenix answers a message whose topic is some other JSON value too, with that
/// value echoed (protocol §3), so that such a value is kept as it came.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Name);

/// The event of a message as the client sent it: a string, or some other JSON value that no handler knows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Event(Name);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Text(Text),
    Other(Json),
}

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// From a string constant, without an allocation.
            pub const fn from_static(text: &'static str) -> Self {
                Self(Name::Text(Text::from_static(text)))
            }

            /// From a JSON value: its characters if it is a string, the value itself otherwise.
            pub fn from_json(json: Json) -> Self {
                match json.parse::<String>() {
                    Ok(text) => Self(Name::Text(text.into())),
                    Err(_) => Self(Name::Other(json)),
                }
            }

            /// The string, if it is one as it should be.
            pub fn text(&self) -> Option<&Text> {
                match &self.0 {
                    Name::Text(text) => Some(text),
                    Name::Other(_) => None,
                }
            }

            /// The characters of the string, or the JSON text of another value.
            pub fn as_str(&self) -> &str {
                match &self.0 {
                    Name::Text(text) => text,
                    Name::Other(json) => json.as_str(),
                }
            }

            /// A copy that owns exactly its own bytes (see [`Text::detach`]).
            pub fn detach(&self) -> Self {
                Self(match &self.0 {
                    Name::Text(text) => Name::Text(text.detach()),
                    Name::Other(json) => Name::Other(json.detach()),
                })
            }

            /// Length of what [`write_json`](Self::write_json) appends, if nothing has to be escaped.
            pub(crate) fn json_len(&self) -> usize {
                match &self.0 {
                    Name::Text(text) => text.len() + 2,
                    Name::Other(json) => json.as_str().len(),
                }
            }

            pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
                match &self.0 {
                    Name::Text(text) => write_string(out, text),
                    Name::Other(json) => out.extend_from_slice(json.as_str().as_bytes()),
                }
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.text().is_some_and(|text| text == other)
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self == *other
            }
        }

        impl From<Text> for $type {
            fn from(text: Text) -> Self {
                Self(Name::Text(text))
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(Name::Text(text.into()))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match &self.0 {
                    Name::Text(text) => fmt::Debug::fmt(text, f),
                    Name::Other(json) => fmt::Debug::fmt(json, f),
                }
            }
        }
    };
}

name!(Topic);
name!(Event);

impl Event {
    /// Asks to join a topic.
    pub const JOIN: Self = Self::from_static("phx_join");
    /// Asks to leave a topic.
    pub const LEAVE: Self = Self::from_static("phx_leave");
    /// Answers a message.
    pub const REPLY: Self = Self::from_static("phx_reply");
    /// Tells that a channel ended in order.
    pub const CLOSE: Self = Self::from_static("phx_close");
    /// Tells that a channel crashed.
    pub const ERROR: Self = Self::from_static("phx_error");
    /// Keeps the connection alive, on the topic `phoenix`.
    pub const HEARTBEAT: Self = Self::from_static("heartbeat");
}

/// Whether an event name belongs to the protocol, so that an application must not push or broadcast it.
pub fn is_reserved_event(event: &str) -> bool {
    matches!(event, "phx_join" | "phx_leave" | "phx_reply" | "phx_close" | "phx_error" | "phx_drain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_is_not_a_string() {
        let json = |text: &str| Json::from_text(&text.into()).unwrap();
        assert_eq!(Topic::from_json(json("\"a\\u0062\"")), "ab");
        let number = Topic::from_json(json("17"));
        assert!(number.text().is_none());
        assert_ne!(number, "17");
        assert_eq!(number.as_str(), "17");
    }
}
