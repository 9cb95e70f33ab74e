//! What is not compared as it stands, in one place.
//!
//! | value | how it is compared |
//! |---|---|
//! | `phx_ref`, `phx_ref_prev`, and any string equal to one of them; long-poll tokens; CSRF tokens and what a session keeps of them | same value ⇔ same value |
//! | the text of Elixir's `inspect`: fields `inspect`, `join_payload`, `ssl_cert`; the `reason` of `terminating`; the `reason` of an error reply of `room:*` (it has a pid) | same text ⇔ same text |
//! | `port` of `uri`, where it is the server's; `host:port` of the server inside of strings | as the server's |
//! | `port` of `peer_data` | not at all |
//! | the text of a 400 or 500 page | only whether there is one |
//! | keys of objects, duplicates, spelling of numbers and strings | by meaning |
//! | dates, request ids and all headers but those of [`HEADERS`] | not at all |

use std::collections::{BTreeMap, BTreeSet};

use crate::json::Json;
use crate::recording::{Payload, Response};

/// The headers that matter; any other may differ.
const HEADERS: [&str; 4] = ["content-type", "cache-control", "retry-after", "location"];
const HEADER_FAMILIES: [&str; 2] = ["sec-websocket-", "access-control-"];

/// Fields whose text Elixir's `inspect` made.
const INSPECTED: [&str; 3] = ["inspect", "join_payload", "ssl_cert"];

/// A value that is only compared by identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    PhxRef,
    Token,
    Text,
}

/// The values of a message that are only compared by identity, in order.
pub(super) type Values = Vec<(Class, String)>;

/// Normalises one side of a comparison.
#[derive(Debug, Default)]
pub(super) struct Normaliser {
    /// `host:port` of the server.
    authorities: Vec<String>,
    /// All values of `phx_ref` on this side.
    refs: BTreeSet<String>,
}

/// A message in the form in which it is compared.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) key: String,
    pub(super) values: Values,
    pub(super) topic: Option<String>,
    pub(super) event: Option<String>,
    /// A reply of the connection itself: heartbeats, topics nobody joined.
    pub(super) of_socket: bool,
    /// Has no `join_ref`.
    pub(super) of_topic: bool,
}

impl Normaliser {
    pub(super) fn new<'a>(authorities: impl Iterator<Item = &'a str>) -> Self {
        Self { authorities: authorities.map(str::to_owned).collect(), refs: BTreeSet::new() }
    }

    /// Learns the `phx_ref`s of a text of this side; all are learned before the first message is normalised.
    pub(super) fn learn(&mut self, text: &str) {
        if text.contains("phx_ref")
            && let Some(json) = Json::parse(text)
        {
            self.learn_refs(&json);
        }
    }

    pub(super) fn message(&self, text: &str) -> Message {
        let Some(json) = Json::parse(text) else {
            return Message { key: text.to_owned(), ..Message::default() };
        };
        let field = |index: usize, name: &str| json.at(index).or_else(|| json.get(name)).cloned();
        let topic =
            field(2, "topic").map(|topic| topic.as_str().map_or_else(|| topic.canonical(), str::to_owned));
        let event = field(3, "event").and_then(|event| event.as_str().map(str::to_owned));
        let payload = field(4, "payload");
        let status = payload.as_ref().and_then(|payload| payload.get("status")).and_then(Json::as_str);
        let reason = payload.as_ref().and_then(|payload| payload.get("response")?.get("reason")?.as_str());
        let in_room = topic.as_deref().is_some_and(|topic| topic.starts_with("room:"));
        let scope = Scope {
            inspected_reason: event.as_deref() == Some("terminating") || in_room && status == Some("error"),
        };
        let mut values = Values::new();
        let masked = self.mask(&json, scope, "", "", &mut values);
        Message {
            key: masked.canonical(),
            values,
            of_socket: event.as_deref() == Some("phx_reply")
                && (topic.as_deref() == Some("phoenix") || reason == Some("unmatched topic")),
            of_topic: matches!(field(0, "join_ref"), None | Some(Json::Null)),
            topic,
            event,
        }
    }

    /// The body of a response; messages of a poll are taken out.
    pub(super) fn body(&self, response: &Response) -> (String, Values) {
        let content = response.content();
        if matches!(response.status, 400 | 500) && !content.is_empty() {
            return ("<page>".to_owned(), Values::new());
        }
        self.text_body(content)
    }

    /// A body without regard to its status.
    pub(super) fn text_body(&self, content: &Payload) -> (String, Values) {
        let Some(text) = content.text() else { return (describe(content), Values::new()) };
        let Some(mut json) = Json::parse(text) else { return (self.string(text), Values::new()) };
        if let Json::Object(fields) = &mut json {
            fields.remove("messages");
        }
        let mut values = Values::new();
        let masked = self.mask(&json, Scope::default(), "", "", &mut values);
        (masked.canonical(), values)
    }

    /// The headers that matter, lower case names, lists without optional blanks.
    pub(super) fn headers(response: &Response) -> BTreeMap<String, String> {
        let mut matter = BTreeMap::new();
        for (name, value) in &response.headers {
            let name = name.to_ascii_lowercase();
            if HEADERS.contains(&name.as_str())
                || HEADER_FAMILIES.iter().any(|family| name.starts_with(family))
            {
                let value = match name.as_str() {
                    "sec-websocket-extensions" => value.replace(' ', ""),
                    _ => value.clone(),
                };
                matter.insert(name, value);
            }
        }
        matter
    }

    fn learn_refs(&mut self, json: &Json) {
        match json {
            Json::Object(fields) => {
                for (key, value) in fields {
                    match value {
                        Json::String(text) if is_phx_ref(key) => {
                            self.refs.insert(text.clone());
                        }
                        value => self.learn_refs(value),
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.learn_refs(item)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Opaque(_) => {}
        }
    }

    fn mask(&self, json: &Json, scope: Scope, parent: &str, key: &str, values: &mut Values) -> Json {
        match json {
            Json::Object(fields) => Json::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.mask(value, scope, key, name, values)))
                    .collect(),
            ),
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.mask(item, scope, parent, key, values)).collect())
            }
            Json::Number(number) if key == "port" => match parent {
                "peer_data" => Json::String("<peer port>".to_owned()),
                "uri" if self.is_own_port(number) => Json::String("<port>".to_owned()),
                _ => json.clone(),
            },
            Json::String(text) => {
                let class = if is_phx_ref(key) || self.refs.contains(text) {
                    Class::PhxRef
                } else if matches!(key, "token" | "csrf") && parent.is_empty() || key == "_csrf_token" {
                    Class::Token
                } else if INSPECTED.contains(&key) || key == "reason" && scope.inspected_reason {
                    Class::Text
                } else {
                    return Json::String(self.string(text));
                };
                values.push((class, text.clone()));
                Json::String(format!("<{class:?}>"))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Opaque(_) => json.clone(),
        }
    }

    fn string(&self, text: &str) -> String {
        self.authorities
            .iter()
            .fold(text.to_owned(), |text, authority| text.replace(authority, "<authority>"))
    }

    fn is_own_port(&self, number: &str) -> bool {
        self.authorities.iter().any(|authority| {
            authority.rsplit_once(':').is_some_and(|(_, port)| {
                Json::parse(port).is_some_and(|port| port == Json::Number(number.to_owned()))
            })
        })
    }
}

/// What the message around a field says about it.
#[derive(Clone, Copy, Default)]
struct Scope {
    inspected_reason: bool,
}

fn is_phx_ref(key: &str) -> bool {
    matches!(key, "phx_ref" | "phx_ref_prev")
}

/// A payload that is no text, or too large to be kept.
pub(super) fn describe(payload: &Payload) -> String {
    let payload = match payload {
        Payload::Whole(bytes) => Payload::abbreviate(bytes.clone()),
        Payload::Abbreviated(_) => payload.clone(),
    };
    match &payload {
        Payload::Whole(bytes) => crate::recording::to_base64(bytes),
        Payload::Abbreviated(short) => format!("{} bytes, sha256 {}", short.length, short.sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_vary_are_masked_and_kept_apart() {
        let mut side = Normaliser::new(["127.0.0.1:4000"].into_iter());
        side.learn(r#"[null,null,"room:1","presence_diff",{"joins":{"a":{"metas":[{"phx_ref":"R1"}]}}}]"#);
        let reply = side.message(r#"["1","2","room:1","phx_reply",{"status":"ok","response":{"ref":"R1"}}]"#);
        assert_eq!(reply.values, [(Class::PhxRef, "R1".to_owned())]);
        assert!(!reply.key.contains("R1"));
    }

    #[test]
    fn what_a_session_keeps_of_a_csrf_token_varies() {
        let side = Normaliser::default();
        let reply = side.message(r#"["1","2","echo:a","phx_reply",{"status":"ok","response":{"params":{"_csrf_token":"masked"},"info":{"session":{"_csrf_token":"state","user":"bob"}}}}]"#);
        let tokens = ["state", "masked"].map(|token| (Class::Token, token.to_owned()));
        assert_eq!(reply.values, tokens);
        assert!(reply.key.contains("\"bob\""));
        let (_, values) = side.text_body(&Payload::Whole(r#"{"csrf":"masked"}"#.into()));
        assert_eq!(values, tokens[1..]);
    }

    #[test]
    fn nothing_else_is_masked() {
        let side = Normaliser::default();
        let reply = side.message(r#"["1","2","echo:a","phx_reply",{"status":"error","response":{"reason":"x","token":"t","ref":"r","port":1}}]"#);
        assert!(reply.values.is_empty());
        for kept in ["\"x\"", "\"t\"", "\"r\"", "\"port\":1"] {
            assert!(reply.key.contains(kept), "{}", reply.key);
        }
    }
}
