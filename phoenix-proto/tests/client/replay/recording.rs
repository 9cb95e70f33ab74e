//! The lines of a recording that concern one client.

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

impl Recording {
    pub(crate) fn read(name: &str) -> Self {
        let path = format!("{}/../conformance/recordings/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        Self { name: name.to_owned(), lines }
    }

    /// What went over the wire from and to one client, or on one connection, the pages of a browser left out.
    pub(crate) fn wire(&self, client: &str) -> Vec<Line> {
        let connection: Option<u64> = client.parse().ok();
        let is_wire = |line: &&Value| {
            let is_meant = connection.map_or_else(|| line["client"] == client, |conn| line["conn"] == conn);
            is_meant && line["dir"].is_string() && line["transport"] != "http"
        };
        self.lines.iter().filter(is_wire).cloned().map(Line).collect()
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
        match (self.0["body"].as_str(), self.0["body_blob"]["base64"].as_str()) {
            (Some(body), _) => body.to_owned().into(),
            (None, Some(blob)) => decode(blob),
            (None, None) => Bytes::new(),
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
