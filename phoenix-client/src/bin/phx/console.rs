//! What is printed: lines for people, or one JSON object per line for scripts.

use std::io::{Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use phoenix_client::{Direction, Message, Payload, Ref, Text};
use serde_json::{Value, json};

/// The standard output.
pub(crate) struct Console {
    json: bool,
    prompt: bool,
    /// Whether the prompt stands at the end of what is printed.
    asked: AtomicBool,
    start: Instant,
}

impl Console {
    pub(crate) fn new(json: bool, prompt: bool) -> Self {
        Self { json, prompt, asked: AtomicBool::new(false), start: Instant::now() }
    }

    /// A message, and how long it took if it is a reply to one that was seen.
    pub(crate) fn message(&self, direction: Direction, message: &Message, took: Option<f64>) {
        let reference = |reference: &Option<Ref>| {
            let Some(reference) = reference else { return Text::from_static("-") };
            reference.to_text().unwrap_or_else(|| reference.as_json().into())
        };
        let (join_ref, reference) = (reference(&message.join_ref), reference(&message.reference));
        let topic = message.topic.as_str();
        let event = message.event.as_str();
        let took = took.map(|took| (took * 1000.0).round() / 1000.0);
        if self.json {
            let dir = if direction == Direction::ToServer { "out" } else { "in" };
            self.object(json!({
                "dir": dir, "join_ref": join_ref.as_str(), "ref": reference.as_str(), "topic": topic, "event": event,
                "payload": value(&message.payload), "took_ms": took,
            }));
            return;
        }
        let arrow = if direction == Direction::ToServer { '→' } else { '←' };
        let took = took.map(|took| format!("  ({took} ms)")).unwrap_or_default();
        let payload = shown(event, &message.payload);
        self.line(&format!("{arrow} [{join_ref} {reference}] {topic} {event} {payload}{took}"));
    }

    /// Something about the connection.
    pub(crate) fn connection(&self, what: &str) {
        if self.json {
            self.object(json!({ "connection": what }));
        } else {
            self.line(&format!("· {what}"));
        }
    }

    /// How a command ended that failed.
    pub(crate) fn problem(&self, problem: &dyn std::fmt::Display) {
        if self.json {
            self.object(json!({ "problem": problem.to_string() }));
        } else {
            self.line(&format!("! {problem}"));
        }
    }

    /// The answer to a question about the client itself.
    pub(crate) fn fact(&self, text: &str, object: Value) {
        if self.json {
            self.object(object);
        } else {
            self.print(text);
        }
    }

    /// Text for people only.
    pub(crate) fn help(&self, text: &str) {
        if !self.json {
            self.print(text);
        }
    }

    /// Asks for a command.
    pub(crate) fn ask(&self) {
        if self.prompt && !self.asked.swap(true, Ordering::Relaxed) {
            print!("> ");
            let _ = stdout().flush();
        }
    }

    /// A command was given, so that the next one is to be asked for again.
    pub(crate) fn answered(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    fn object(&self, mut object: Value) {
        object["t"] = json!(self.elapsed());
        self.print(&object.to_string());
    }

    fn line(&self, text: &str) {
        self.print(&format!("{:>10.1} {text}", self.elapsed()));
    }

    fn print(&self, text: &str) {
        // Over the prompt, which then comes again. A closed output is nothing to fail for.
        let start = if self.prompt { "\r" } else { "" };
        let _ = writeln!(stdout(), "{start}{text}");
        self.answered();
        self.ask();
    }

    /// Milliseconds since the start.
    fn elapsed(&self) -> f64 {
        (self.start.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
    }
}

/// A payload for people: presence in short, everything else as it is.
fn shown(event: &str, payload: &Payload) -> String {
    let keys = |value: &Value, sign: &str| {
        let keys = value.as_object().into_iter().flatten();
        keys.map(|(key, _)| format!("{sign}{key}")).collect::<Vec<_>>().join(" ")
    };
    match (event, value(payload)) {
        ("presence_state", state) => format!("present: {}", keys(&state, "")),
        ("presence_diff", diff) => {
            let (joins, leaves) = (keys(&diff["joins"], "+"), keys(&diff["leaves"], "-"));
            format!("presence: {joins} {leaves}").trim_end().to_owned()
        }
        (_, value) if payload.as_json().is_some() => value.to_string(),
        (_, value) => format!("binary {value}"),
    }
}

/// A payload as JSON: bytes as base64.
fn value(payload: &Payload) -> Value {
    use base64::Engine as _;
    match payload {
        Payload::Json(json) => json.parse().unwrap_or_else(|_| Value::String(json.to_string())),
        Payload::Binary(data) => base64::engine::general_purpose::STANDARD.encode(data).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_shown_in_short() {
        let state = json!({ "ann": { "metas": [] }, "bob": { "metas": [] } });
        assert_eq!(shown("presence_state", &state.into()), "present: ann bob");
        let diff = json!({ "joins": { "cid": {} }, "leaves": { "ann": {} } });
        assert_eq!(shown("presence_diff", &diff.into()), "presence: +cid -ann");
        assert_eq!(shown("say", &json!({ "a": 1 }).into()), r#"{"a":1}"#);
        assert_eq!(shown("say", &Payload::Binary(vec![1, 2].into())), "binary \"AQI=\"");
    }
}
