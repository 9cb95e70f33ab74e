//! What differs from run to run and is put into what the client sends: ports, tokens and cookies.

use std::collections::BTreeMap;

use crate::json::Json;
use crate::recording::{Event, Item, Payload, Recording, Request, Response};

/// Recorded values and what stands for them in this run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Variables {
    /// Recorded `host:port` of the proxy and what is sent instead.
    authorities: BTreeMap<String, String>,
    /// Recorded long-poll tokens, CSRF tokens and cookies, and those of this run.
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

    /// Learns what a response hands out for later requests by putting it next to the recorded one.
    pub(crate) fn learn(&mut self, recorded: &Response, actual: &Response) {
        for (recorded, actual) in handed_out(recorded).into_iter().zip(handed_out(actual)) {
            if let (Some(recorded), Some(actual)) = (recorded, actual) {
                self.tokens.entry(recorded).or_insert(actual);
            }
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

/// Whether a response has something for later requests.
pub(crate) fn hands_out(response: &Response) -> bool {
    handed_out(response).iter().any(Option::is_some)
}

/// Long-poll token, CSRF token and cookie of a response.
fn handed_out(response: &Response) -> [Option<String>; 3] {
    let body = response.content().text().and_then(Json::parse);
    let field = |key| Some(body.as_ref()?.get(key)?.as_str()?.to_owned());
    let cookie = response.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    [field("token"), field("csrf"), cookie.map(str::to_owned)]
}

fn is_proxy(host: &str) -> bool {
    host.strip_prefix("127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok())
}

fn replace_all(text: &str, replacements: &BTreeMap<String, String>) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_hands_out_is_sent_back_to_it() {
        let lines = [
            r#"{"t":1,"client":"A","conn":1,"dir":"c2s","transport":"websocket","kind":"open","method":"GET","path":"/","query":"_csrf_token=c1","version":"HTTP/1.1","headers":[["Host","127.0.0.1:5000"],["Origin","http://127.0.0.1:5000"],["Cookie","s=one"]],"body":""}"#,
            r#"{"t":2,"client":"A","conn":1,"dir":"s2c","transport":"http","kind":"response","status":200,"reason":"OK","version":"HTTP/1.1","headers":[["set-cookie","s=one; path=/"]],"body":"{\"csrf\":\"c1\"}"}"#,
            r#"{"t":3,"client":"A","conn":1,"dir":"s2c","transport":"http","kind":"response","status":200,"reason":"OK","version":"HTTP/1.1","headers":[["set-cookie","s=two; path=/"]],"body":"{\"csrf\":\"c2\"}"}"#,
        ];
        let recording = Recording::parse("x", lines).unwrap();
        let events: Vec<&Event> = recording
            .entries
            .iter()
            .filter_map(|entry| match &entry.item {
                Item::Wire(wire) => Some(&wire.event),
                _ => None,
            })
            .collect();
        let [Event::Request(request), Event::Response(recorded), Event::Response(actual)] = events[..] else {
            panic!("a request and two responses");
        };
        let mut variables = Variables::new(&recording, "localhost:4000");
        variables.learn(recorded, actual);
        let sent = variables.request(request);
        assert_eq!(sent.query, "_csrf_token=c2");
        let headers: Vec<&str> = sent.headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(headers, ["127.0.0.1:4000", "http://127.0.0.1:4000", "s=two"]);
    }
}
