//! Other tokens, `phx_ref`s and ports than in the recording, as another run of a server would have.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use phoenix_conformance::recording::{Event, Frame, Item, Payload, Recording, Request, Response};

use super::AUTHORITY;

/// What precedes a value that varies, in plain and in quoted JSON.
const MARKERS: [&str; 5] =
    ["phx_ref\":\"", "phx_ref\\\":\\\"", "phx_ref_prev\":\"", "phx_ref_prev\\\":\\\"", "\"token\":\"SFMyNTY"];

/// Replaces values that vary.
pub(crate) struct Disguise {
    values: BTreeMap<String, String>,
    authorities: Vec<String>,
}

impl Disguise {
    pub(crate) fn new(recording: &Recording) -> Self {
        let mut values = BTreeMap::new();
        let mut authorities = Vec::new();
        for entry in &recording.entries {
            let Item::Wire(wire) = &entry.item else { continue };
            let text = match &wire.event {
                Event::Response(response) => response.content().text(),
                Event::Frame(frame) => frame.payload.text(),
                Event::Request(request) => {
                    let host = request.header("host").filter(|host| host.contains(':'));
                    authorities.extend(host.map(str::to_owned));
                    if let Some((_, port)) = host.and_then(|host| host.rsplit_once(':')) {
                        let own = AUTHORITY.rsplit_once(':').unwrap().1;
                        for key in ["\"port\":", "\\\"port\\\":"] {
                            values.insert(format!("{key}{port}"), format!("{key}{own}"));
                        }
                    }
                    None
                }
                Event::Fin(_) | Event::Rst | Event::Error(_) => None,
            };
            for marker in MARKERS {
                for (at, _) in text.unwrap_or_default().match_indices(marker) {
                    let start = at + marker.rfind('"').unwrap() + 1;
                    let value: String =
                        text.unwrap()[start..].chars().take_while(|c| !matches!(c, '"' | '\\')).collect();
                    values.insert(value.clone(), value.chars().rev().collect());
                }
            }
        }
        Self { values, authorities }
    }

    pub(crate) fn event(&self, event: &Event) -> Event {
        match event {
            Event::Frame(frame) if frame.rsv == 0 => Event::Frame(Frame {
                payload: match frame.payload.text() {
                    Some(text) => Payload::Whole(self.text(text).into()),
                    None => frame.payload.clone(),
                },
                ..frame.clone()
            }),
            Event::Response(response) => Event::Response(self.response(response)),
            other => other.clone(),
        }
    }

    pub(crate) fn request(&self, request: &Request) -> Request {
        let headers = request.headers.iter().map(|(name, value)| {
            let value = self
                .authorities
                .iter()
                .fold(self.text(value), |value, authority| value.replace(authority, AUTHORITY));
            (name.clone(), value)
        });
        let body = match request.body.text() {
            Some(text) => Payload::Whole(self.text(text).into()),
            None => request.body.clone(),
        };
        Request { query: self.text(&request.query), headers: headers.collect(), body, ..request.clone() }
    }

    fn response(&self, response: &Response) -> Response {
        let Some(text) = response.content().text() else { return response.clone() };
        let text = self.text(text);
        let body = if response.gunzipped.is_some() {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text.as_bytes()).unwrap();
            Bytes::from(gzip.finish().unwrap())
        } else {
            Bytes::from(text)
        };
        let mut response = response.clone();
        for (name, value) in &mut response.headers {
            if name == "content-length" && !body.is_empty() {
                *value = body.len().to_string();
            }
        }
        Response { body: Payload::Whole(body), gunzipped: None, ..response }
    }

    fn text(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}
