//! The lines of a recording that concern one client.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use phoenix_proto::{Incoming, Serializer, V1, V2};
use serde_json::Value;

/// A recording by its name.
pub(crate) struct Recording {
    pub(crate) name: String,
    lines: Vec<Value>,
}

/// One line of it.
#[derive(Clone)]
pub(crate) struct Line(Value);

/// Where the label of a client is not that of one socket: connections by their numbers, or the label whose
/// connections are meant.
const SOCKETS: [(&str, &[&str]); 3] = [
    ("browser_fallback.v2", &["A"]),
    ("browser_ws.v2", &["3", "4", "5"]),
    ("ws_join_variants.v1", &["1", "2", "B"]),
];

/// What phoenix.js sends for no reason, and what comes of it: here the WebSocket that it has given up errors its
/// channels once more, so that it sends one join twice. This socket does not.
const MISTAKES: [(&str, &[&str]); 1] = [(
    "browser_fallback.v2",
    &[
        "[\"8\",\"8\",\"echo:bfb\",\"phx_join\",{\"from\":\"browser\"}]\n",
        r#""[\"8\",\"8\",\"echo:bfb\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]","#,
        r#""[\"8\",\"8\",\"echo:bfb\",\"phx_close\",{}]""#,
    ],
)];

impl Recording {
    pub(crate) fn read(path: &Path) -> Self {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        Self { name, lines }
    }

    /// The clients that are phoenix.js: those whose application was told something.
    pub(crate) fn phoenix_js(&self) -> BTreeSet<String> {
        if let Some((_, sockets)) = SOCKETS.iter().find(|(name, _)| *name == self.name) {
            return sockets.iter().map(|socket| (*socket).to_owned()).collect();
        }
        let told = self.lines.iter().filter(|line| line["kind"] == "app");
        told.map(|line| line["client"].as_str().expect("a label").to_owned()).collect()
    }

    /// How many references something uses up that is not in the lines.
    pub(crate) fn uncounted_references(&self) -> u32 {
        let mistake = u32::from(MISTAKES.iter().any(|(name, _)| *name == self.name));
        // A page of the browser registers an open, an error and a close callback first.
        let callbacks = if self.name.starts_with("browser") { 3 } else { 0 };
        callbacks + mistake
    }

    /// What went over the wire from and to one client, or on one connection, the pages of a browser left out.
    pub(crate) fn wire(&self, client: &str) -> Vec<Line> {
        let connection: Option<u64> = client.parse().ok();
        let is_wire = |line: &&Value| {
            let is_meant = connection.map_or_else(|| line["client"] == client, |conn| line["conn"] == conn);
            is_meant && line["dir"].is_string() && line["transport"] != "http"
        };
        let mut lines: Vec<_> = self.lines.iter().filter(is_wire).cloned().map(Line).collect();
        if let Some((_, mistakes)) = MISTAKES.iter().find(|(name, _)| *name == self.name) {
            for line in &mut lines {
                line.forget(mistakes);
            }
        }
        lines
    }
}

impl Line {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        self.0[field].as_u64()
    }

    pub(crate) fn is_from_client(&self) -> bool {
        self.0["dir"] == "c2s"
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0["headers"].as_array()?;
        let header = headers
            .iter()
            .find(|header| header[0].as_str().is_some_and(|header| header.eq_ignore_ascii_case(name)))?;
        header[1].as_str()
    }

    /// The data of a frame, restored if it was compressed or abbreviated. `None` for abbreviated text and for
    /// anything else than a frame.
    pub(crate) fn frame(&self) -> Option<Incoming> {
        let inflated = self.0["inflated"]["data"].as_str();
        if self.0["kind"] == "text" {
            let plain = if self.0["compressed"] == true { inflated } else { self.0["data"].as_str() };
            return plain.map(|text| Incoming::Text(text.into()));
        }
        let data = match inflated {
            // A binary frame recorded as text has ASCII only.
            Some(text) => text.to_owned().into(),
            None => decode(self.0["base64"].as_str().or_else(|| self.0["head_base64"].as_str())?),
        };
        Some(Incoming::Binary(self.restore(data)))
    }

    /// The body of a long-poll request or answer.
    pub(crate) fn body(&self) -> Bytes {
        let plain = self.0["body"].as_str().or_else(|| self.0["body_gunzipped"]["data"].as_str());
        match (plain, self.0["body_blob"]["base64"].as_str()) {
            (Some(body), _) => body.to_owned().into(),
            (None, Some(blob)) => decode(blob),
            (None, None) => Bytes::new(),
        }
    }

    /// Takes something out of the bodies.
    fn forget(&mut self, parts: &[&str]) {
        for body in ["/body", "/body_gunzipped/data"] {
            if let Some(Value::String(body)) = self.0.pointer_mut(body) {
                *body = parts.iter().fold(std::mem::take(body), |body, part| body.replace(part, ""));
            }
        }
    }

    /// An abbreviated payload goes on as it began: recorded ones repeat one byte.
    fn restore(&self, data: Bytes) -> Bytes {
        let mut data = Vec::from(data);
        if self.0["abbreviated"] == true {
            let length = usize::try_from(self.number("length").expect("a length")).expect("small");
            let last = *data.last().expect("a beginning");
            data.resize(length, last);
        }
        data.into()
    }
}

/// A message of the client, as its server understands it.
pub(crate) fn message(vsn: &str, frame: Incoming) -> phoenix_proto::Message {
    let serializer: &dyn Serializer = if vsn.starts_with('1') { &V1 } else { &V2 };
    serializer.decode(frame).expect("phoenix.js sends messages")
}

/// The bytes of base64.
pub(super) fn decode(base64: impl AsRef<[u8]>) -> Bytes {
    STANDARD.decode(base64).expect("base64").into()
}
