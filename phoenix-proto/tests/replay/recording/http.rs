//! The requests of long-poll clients: which session they are for.
//!
//! The HTTP layer finds the session by its token and says who may open one. So a request without a known token
//! reaches a machine only if Phoenix opened a session for it, and what Phoenix answers to others is for the
//! replay over sockets to compare, as are headers and the HTTP status of what is answered here.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use phoenix_proto::longpoll::BodyFormat;
use serde_json::Value;

use super::{Event, PeerId, RequestId, Sent, Target, Time, What};

#[derive(Default)]
pub(super) struct Requests {
    /// The sessions that Phoenix opened, by their tokens.
    sessions: BTreeMap<String, PeerId>,
    /// The requests of each TCP connection that are not answered yet.
    open: BTreeMap<u64, VecDeque<Open>>,
    count: RequestId,
}

struct Open {
    request: RequestId,
    target: Target,
    /// Its place among the events.
    place: usize,
}

impl Requests {
    pub(super) fn request(&mut self, connection: u64, at: Time, line: &Value, events: &mut Vec<Event>) {
        self.count += 1;
        let request = self.count;
        let method = line["method"].as_str().expect("a request has a method");
        let target = target(line);
        let open = Open { request, target: target.clone(), place: events.len() };
        self.open.entry(connection).or_default().push_back(open);
        let token = header(line, "x-phoenix-longpoll-token").next().map(str::to_owned);
        let token = token.or_else(|| target.parameter("token"));
        let session = token.and_then(|token| self.sessions.get(&token).copied());
        let (peer, what) = match (method, session, body(line)) {
            ("GET", Some(session), _) => (session, What::Polled { request, target, instead: None }),
            ("POST", Some(session), Some(body)) => {
                (session, What::Posted { request, format: format(line), body })
            }
            _ => {
                let shown = format!("{method} {target}");
                (PeerId::Server, What::Http { request: shown, answer: "nothing".to_owned() })
            }
        };
        events.push(Event { at, peer, what });
    }

    pub(super) fn response(&mut self, connection: u64, at: Time, line: &Value, events: &mut Vec<Event>) {
        let open = self.open.get_mut(&connection).and_then(VecDeque::pop_front);
        let Open { request, target, place } = open.expect("a request precedes its answer");
        let http_status = line["status"].as_u64().expect("an answer has a status");
        let text = line["body"].as_str().or_else(|| line["body_gunzipped"]["data"].as_str());
        let body: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let opened = self.opened(&body);
        let event = &mut events[place];
        match &mut event.what {
            What::Polled { instead, .. } => *instead = opened,
            What::Http { answer, .. } => {
                if let Some(session) = opened {
                    event.peer = session;
                    event.what = What::Opened { target, request: Some(request) };
                } else {
                    let inner = body["status"].as_u64().map(|status| format!(" with {status} in its body"));
                    *answer = format!("{http_status}{}", inner.unwrap_or_default());
                }
            }
            _ => {}
        }
        let peer = event.peer;
        if peer != PeerId::Server {
            let what = What::Sent(Sent::answer(request, http_status, &body));
            events.push(Event { at, peer, what });
        }
    }

    /// The connection ended before the requests on it were answered.
    pub(super) fn ended(&mut self, connection: u64, at: Time, events: &mut Vec<Event>) {
        for Open { request, place, .. } in self.open.remove(&connection).unwrap_or_default() {
            events.push(Event { at, peer: events[place].peer, what: What::GaveUp { request } });
        }
    }

    /// The session that an answer tells of, if it is a new one.
    fn opened(&mut self, body: &Value) -> Option<PeerId> {
        let token = body["token"].as_str()?;
        if self.sessions.contains_key(token) {
            return None;
        }
        let number = u64::try_from(self.sessions.len()).expect("a small number") + 1;
        let session = PeerId::Session(number);
        self.sessions.insert(token.to_owned(), session);
        Some(session)
    }
}

pub(super) fn target(line: &Value) -> Target {
    let value = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    Target { path: value("path"), query: value("query") }
}

fn header<'a>(line: &'a Value, name: &'a str) -> impl Iterator<Item = &'a str> {
    let headers = line["headers"].as_array().map_or(&[][..], Vec::as_slice).iter();
    headers
        .filter(move |it| it[0].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name)))
        .filter_map(|it| it[1].as_str())
}

fn format(line: &Value) -> BodyFormat {
    let types: Vec<_> = header(line, "content-type").collect();
    if types == ["application/x-ndjson"] { BodyFormat::Lines } else { BodyFormat::Single }
}

/// The body of a request, unless it was too long to be kept.
fn body(line: &Value) -> Option<Bytes> {
    let blob = &line["body_blob"];
    match (line["body"].as_str(), blob["data"].as_str(), blob["base64"].as_str()) {
        (Some(text), ..) | (_, Some(text), _) => Some(text.to_owned().into()),
        (.., Some(base64)) => Some(STANDARD.decode(base64).expect("valid base64").into()),
        _ => None,
    }
}
