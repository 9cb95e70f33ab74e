//! The messages a client sends, built in one buffer.

use std::io::Write as _;

use serde_json::{Value, json};

use super::net::{ConnId, Net};

/// The join ref of every join, and so of every push; churning clients use others.
pub(crate) const JOIN_REF: u64 = 1;

/// Roughly what the payload holds beside its text.
const FIXED: usize = 32;

/// Builds pushes and puts them on their way.
pub(crate) struct Outgoing {
    /// The field `text` of every payload.
    text: Value,
    encoded: Vec<u8>,
    buffer: Vec<u8>,
}

impl Outgoing {
    /// Payloads of about `size` bytes: one long string, or nested objects.
    pub(crate) fn new(size: usize, nested: bool) -> Self {
        let wanted = size.saturating_sub(FIXED).max(1);
        let text = if nested { nested_text(wanted) } else { Value::String("x".repeat(wanted)) };
        Self { encoded: text.to_string().into_bytes(), text, buffer: Vec::new() }
    }

    /// The field `text` of every payload, to compare what comes back with.
    pub(crate) fn text(&self) -> &Value {
        &self.text
    }

    /// Sends `phx_join` or `phx_leave`.
    pub(crate) fn control(&mut self, net: &mut Net, conn: ConnId, refs: Refs, topic: &str, event: &str) {
        self.head(refs, topic, event);
        self.buffer.extend_from_slice(b"{}]");
        net.send_text(conn, &self.buffer);
    }

    /// Sends a numbered payload.
    pub(crate) fn push(&mut self, net: &mut Net, conn: ConnId, push: &Push<'_>) {
        self.numbered(push);
        net.send_text(conn, &self.buffer);
    }

    /// A numbered payload as a line of a long-poll body.
    pub(crate) fn line(&mut self, push: &Push<'_>) -> &[u8] {
        self.numbered(push);
        &self.buffer
    }

    fn numbered(&mut self, push: &Push<'_>) {
        self.head(Refs { join: JOIN_REF, message: push.reference }, push.topic, push.event);
        write!(self.buffer, r#"{{"from":{},"seq":{},"text":"#, push.from, push.seq).expect(INFALLIBLE);
        self.buffer.extend_from_slice(&self.encoded);
        self.buffer.extend_from_slice(b"}]");
    }

    fn head(&mut self, refs: Refs, topic: &str, event: &str) {
        self.buffer.clear();
        let Refs { join, message } = refs;
        write!(self.buffer, r#"["{join}","{message}","{topic}","{event}","#).expect(INFALLIBLE);
    }
}

/// The two refs of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refs {
    pub(crate) join: u64,
    pub(crate) message: u64,
}

/// One push with a numbered payload.
pub(crate) struct Push<'a> {
    pub(crate) reference: u64,
    pub(crate) topic: &'a str,
    pub(crate) event: &'a str,
    /// Who numbers.
    pub(crate) from: usize,
    pub(crate) seq: u64,
}

const INFALLIBLE: &str = "a vector takes every write";

fn nested_text(wanted: usize) -> Value {
    let mut items = Vec::new();
    let mut length = 0;
    while length < wanted {
        let number = items.len();
        let item = json!({
            "id": number, "kind": "item", "name": format!("user-{number}"), "ok": number % 2 == 0,
            "score": number as f64 + 0.5, "tags": ["a", "b"], "z": null
        });
        length += item.to_string().len() + 1;
        items.push(item);
    }
    Value::Array(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_about_as_long_as_asked() {
        for (size, nested, slack) in [(128, false, 16), (4096, true, 160)] {
            let mut outgoing = Outgoing::new(size, nested);
            let push = Push { reference: 7, topic: "bench:1", event: "echo", from: 3, seq: 42 };
            let message: Value = serde_json::from_slice(outgoing.line(&push)).unwrap();
            assert_eq!(message[0], "1");
            assert_eq!(message[1], "7");
            assert_eq!(message[4]["from"], 3);
            assert_eq!(message[4]["seq"], 42);
            assert_eq!(&message[4]["text"], outgoing.text());
            let length = message[4].to_string().len();
            assert!(length.abs_diff(size) <= slack, "{length} bytes instead of {size}");
        }
    }
}
