//! What differs from run to run and is put into what the client sends: ports and tokens.

use std::collections::BTreeMap;

use crate::json::Json;
use crate::recording::{Event, Item, Payload, Recording, Request, Response};

/// Recorded values and what stands for them in this run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Variables {
    /// Recorded `host:port` of the proxy and what is sent instead.
    authorities: BTreeMap<String, String>,
    /// Recorded token and the token of this run.
    tokens: BTreeMap<String, String>,
}

impl Variables {
    /// `authority` is the `host:port` of the server in this run. On a loopback address only the port is replaced: a
    /// server may treat `127.0.0.1` and `localhost` differently, and the recordings test that.
    pub(crate) fn new(recording: &Recording, authority: &str) -> Self {
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        let local = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        let mut authorities = BTreeMap::new();
        for entry in &recording.entries {
            let Item::Wire(wire) = &entry.item else { continue };
            let Event::Request(request) = &wire.event else { continue };
            let Some(recorded) = request.header("host").filter(|host| is_proxy(host)) else { continue };
            let host = if local { recorded.rsplit_once(':').map_or(host, |(host, _)| host) } else { host };
            authorities.insert(recorded.to_owned(), format!("{host}:{port}"));
        }
        Self { authorities, tokens: BTreeMap::new() }
    }

    /// Learns the token of a session from the response that opens it.
    pub(crate) fn learn(&mut self, recorded: &Response, actual: &Response) {
        if let (Some(recorded), Some(actual)) = (token_of(recorded), token_of(actual)) {
            self.tokens.entry(recorded).or_insert(actual);
        }
    }

    /// Pairs of recorded and actual `host:port`.
    pub(crate) fn authorities(&self) -> impl Iterator<Item = (&str, &str)> {
        self.authorities.iter().map(|(recorded, actual)| (recorded.as_str(), actual.as_str()))
    }

    /// The request as this run sends it.
    pub(crate) fn request(&self, request: &Request) -> Request {
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), self.text(&replace_all(value, &self.authorities))))
            .collect();
        let body = match request.body.text() {
            Some(text) => Payload::Whole(self.text(text).into()),
            None => request.body.clone(),
        };
        Request {
            path: self.text(&request.path),
            query: self.text(&request.query),
            headers,
            body,
            ..request.clone()
        }
    }

    /// A text with the tokens of this run.
    pub(crate) fn text(&self, text: &str) -> String {
        replace_all(text, &self.tokens)
    }
}

/// The long-poll token a request carries: the header wins over the query.
pub(crate) fn request_token(request: &Request) -> Option<&str> {
    request
        .header("x-phoenix-longpoll-token")
        .or_else(|| request.query.split('&').find_map(|pair| pair.strip_prefix("token=")))
        .filter(|token| !token.is_empty())
}

fn token_of(response: &Response) -> Option<String> {
    Some(Json::parse(response.content().text()?)?.get("token")?.as_str()?.to_owned())
}

fn is_proxy(host: &str) -> bool {
    host.strip_prefix("127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok())
}

fn replace_all(text: &str, replacements: &BTreeMap<String, String>) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
