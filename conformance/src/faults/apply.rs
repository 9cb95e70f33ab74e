//! How each fault changes what a server sends.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Fault;
use crate::recording::{Event, Frame, Payload, Response};

/// The events with the fault, and how often it was applied.
pub(super) fn apply(fault: Fault, events: Vec<Event>) -> (Vec<Event>, usize) {
    let mut changed = Vec::new();
    let mut applied = 0;
    for event in events {
        let replacement = match &event {
            Event::Frame(frame) => {
                on_frame(fault, frame).map(|frames| frames.into_iter().map(Event::Frame).collect())
            }
            Event::Response(response) => {
                on_response(fault, response).map(|response| vec![Event::Response(response)])
            }
            Event::Fin(_) | Event::Request(_) | Event::Rst | Event::Error(_) => None,
        };
        applied += usize::from(replacement.is_some());
        changed.extend(replacement.unwrap_or_else(|| vec![event]));
    }
    if fault == Fault::SwapFrames {
        for at in 1..changed.len() {
            let [Event::Frame(first), Event::Frame(second)] = &changed[at - 1..=at] else { continue };
            let [first, second] = [first, second].map(Message::of);
            if let (Some(first), Some(second)) = (first, second)
                && first.topic() == second.topic()
                && first != second
                && !(first.event() == "presence_diff" && second.event() == "presence_state")
            {
                changed.swap(at - 1, at);
                applied += 1;
                break;
            }
        }
    }
    (changed, applied)
}

fn on_frame(fault: Fault, frame: &Frame) -> Option<Vec<Frame>> {
    let same = || frame.clone();
    match (fault, frame.opcode) {
        (Fault::Masked, _) => Some(vec![Frame { masked: true, ..same() }]),
        (Fault::TextForBinary, Frame::BINARY) => Some(vec![Frame { opcode: Frame::TEXT, ..same() }]),
        (Fault::WrongPong, Frame::PONG) => Some(vec![Frame { payload: "wrong".into(), ..same() }]),
        (Fault::WrongCloseCode, Frame::CLOSE) => {
            Some(vec![Frame { payload: "\u{3}\u{f0}".into(), ..same() }])
        }
        (Fault::DropCloseFrame, Frame::CLOSE) => Some(Vec::new()),
        (_, Frame::TEXT) => on_message(fault, &Message::of(frame)?)
            .map(|messages| messages.into_iter().map(|message| message.into_frame(frame)).collect()),
        _ => None,
    }
}

fn on_message(fault: Fault, message: &Message) -> Option<Vec<Message>> {
    let is_reply = message.event() == "phx_reply";
    let payload = message.field("payload")?;
    let with = |field: &str, value: Value| Some(vec![message.with(field, value)]);
    match fault {
        Fault::DropPhxClose => (message.event() == "phx_close").then(Vec::new),
        Fault::WrongJoinRef if is_reply && message.field("join_ref")?.is_string() => {
            with("join_ref", json!("999"))
        }
        Fault::EmptyRef if message.field("ref")?.is_null() => with("ref", json!("")),
        Fault::ExtraFrame if is_reply => {
            let extra = message.with("event", json!("surprise")).with("payload", json!({}));
            Some(vec![message.clone(), extra])
        }
        Fault::DuplicateFrame => Some(vec![message.clone(), message.clone()]),
        Fault::DropHeartbeatReply => (message.topic() == "phoenix").then(Vec::new),
        Fault::WrongReplyStatus if payload["status"] == "ok" => {
            with("payload", json!({"status": "error", "response": payload["response"]}))
        }
        // What Elixir's `inspect` made is not compared.
        Fault::WrongReason
            if payload["response"]["reason"].as_str().is_some_and(|text| !text.starts_with('{')) =>
        {
            with("payload", json!({"status": payload["status"], "response": {"reason": "another"}}))
        }
        Fault::WrongNumber => {
            let mut payload = payload.clone();
            increment_first(&mut payload).then(|| vec![message.with("payload", payload)])
        }
        Fault::SamePhxRef => {
            let mut payload = payload.clone();
            replace_refs(&mut payload).then(|| vec![message.with("payload", payload)])
        }
        _ => None,
    }
}

fn on_response(fault: Fault, response: &Response) -> Option<Response> {
    let without = |name: &str| {
        let mut changed = response.clone();
        changed.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        (changed.headers.len() < response.headers.len()).then_some(changed)
    };
    match fault {
        Fault::WrongHttpStatus if response.status >= 400 => {
            Some(Response { status: 418, ..response.clone() })
        }
        Fault::MissingHeader => without("cache-control"),
        Fault::WrongAccept => {
            let mut changed = without("sec-websocket-accept")?;
            changed
                .headers
                .push(("sec-websocket-accept".to_owned(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned()));
            Some(changed)
        }
        Fault::WrongPollStatus
        | Fault::ChangedToken
        | Fault::DropPollMessage
        | Fault::ReversePollMessages => on_poll(fault, response),
        _ => None,
    }
}

fn on_poll(fault: Fault, response: &Response) -> Option<Response> {
    let mut body: Value = serde_json::from_str(response.content().text()?).ok()?;
    match fault {
        Fault::WrongPollStatus if body["status"] == 204 => body["status"] = json!(200),
        Fault::ChangedToken if body["status"] != 410 => {
            body["token"] = json!(format!("{}x", body["token"].as_str()?));
        }
        Fault::DropPollMessage => {
            body["messages"].as_array_mut()?.pop()?;
        }
        Fault::ReversePollMessages => {
            let messages = body["messages"].as_array_mut().filter(|messages| messages.len() > 1)?;
            messages.reverse();
        }
        _ => return None,
    }
    let body = Bytes::from(body.to_string());
    let mut changed = Response { gunzipped: None, ..response.clone() };
    changed.headers.retain(|(name, _)| !matches!(name.as_str(), "content-length" | "content-encoding"));
    changed.headers.push(("content-length".to_owned(), body.len().to_string()));
    changed.body = Payload::Whole(body);
    Some(changed)
}

/// A message of either protocol version.
#[derive(Clone, PartialEq)]
struct Message(Value);

impl Message {
    fn of(frame: &Frame) -> Option<Self> {
        let value: Value = serde_json::from_str(frame.payload.text()?).ok()?;
        (value.is_array() || value.is_object()).then_some(Self(value))
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(index(name)).or_else(|| self.0.get(name))
    }

    fn topic(&self) -> &str {
        self.field("topic").and_then(Value::as_str).unwrap_or_default()
    }

    fn event(&self) -> &str {
        self.field("event").and_then(Value::as_str).unwrap_or_default()
    }

    fn with(&self, name: &str, value: Value) -> Self {
        let mut changed = self.0.clone();
        match &mut changed {
            Value::Array(fields) => fields[index(name)] = value,
            other => other[name] = value,
        }
        Self(changed)
    }

    fn into_frame(self, frame: &Frame) -> Frame {
        Frame { payload: Payload::Whole(self.0.to_string().into()), ..frame.clone() }
    }
}

/// Position of a field in a message of version 2.
fn index(name: &str) -> usize {
    match name {
        "join_ref" => 0,
        "ref" => 1,
        "topic" => 2,
        "event" => 3,
        _ => 4,
    }
}

fn increment_first(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(integer) => {
                *value = json!(integer + 1);
                true
            }
            None => false,
        },
        Value::Array(items) => items.iter_mut().any(increment_first),
        Value::Object(fields) => fields.values_mut().any(increment_first),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn replace_refs(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().map(replace_refs).filter(|found| *found).count() > 0,
        Value::Object(fields) => fields.iter_mut().fold(false, |found, (key, value)| {
            if key == "phx_ref" {
                *value = json!("GOrA0000000000AA");
                return true;
            }
            replace_refs(value) || found
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
