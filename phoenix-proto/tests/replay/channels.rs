//! The channels of the reference application, as far as the recordings use them.

mod room;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use phoenix_proto::{Broadcast, EncodeError, Event, Json, Payload, Ref};
use serde_json::{Value, json};

use crate::app::{App, Pid, Process};

pub(crate) const TOPICS: [&str; 14] = [
    "echo:*",
    "room:*",
    "deny:*",
    "joinreply:*",
    "joincrash:*",
    "joinbad:*",
    "intercept:*",
    "slowjoin:*",
    "selfstop:*",
    "noinfo:*",
    "trap:*",
    "bench:*",
    "exact",
    "assigned:*",
];

/// What reaches the process of a channel.
pub(crate) enum Mail {
    Message { event: Event, reference: Option<Ref>, payload: Payload },
    Leave { reference: Option<Ref> },
    Broadcast(Broadcast),
    Control(Value),
    AsyncReply { reference: Ref, payload: Payload },
    StopItself,
    AfterJoin,
}

/// The outcome of a join, with mails that the channel sends to itself after some milliseconds.
pub(crate) enum Joined {
    Ok(Payload, Vec<(u64, Mail)>),
    Error(Payload),
    Crash,
    Unencodable,
}

/// What becomes of the process after a mail.
#[derive(Clone, Copy)]
pub(crate) enum After {
    Continue,
    Sleep(u64),
    Stop,
    Crash,
}

impl From<Result<(), EncodeError>> for After {
    fn from(result: Result<(), EncodeError>) -> Self {
        if result.is_ok() { Self::Continue } else { Self::Crash }
    }
}

pub(crate) fn join_delay(process: &Process) -> Option<u64> {
    process.topic.starts_with("slowjoin:").then(|| value(&process.payload)["ms"].as_u64().unwrap_or(500))
}

pub(crate) fn join(process: &Process) -> Joined {
    let topic = &*process.topic;
    let (module, rest) = topic.split_once(':').unwrap_or((topic, ""));
    let payload = value(&process.payload);
    let ok = |response: Value| Joined::Ok(response.into(), Vec::new());
    match (module, rest) {
        ("deny", "empty") => Joined::Error(Payload::EMPTY),
        ("deny", "string") => Joined::Error(json!("nope").into()),
        ("deny", _) => Joined::Error(json!({"reason": "unauthorized"}).into()),
        ("joinreply", "binary") => Joined::Ok(Bytes::from_static(&[1, 2, 3]).into(), Vec::new()),
        ("joinreply", "list") => ok(json!([1, 2, 3])),
        ("joinreply", _) => ok(json!({"topic": topic, "you_sent": payload, "n": 1})),
        ("joinbad", "unencodable") => Joined::Unencodable,
        ("joincrash" | "joinbad", _) => Joined::Crash,
        ("slowjoin", _) => ok(json!({"slept": payload["ms"].as_u64().unwrap_or(500)})),
        ("selfstop", _) => {
            Joined::Ok(Payload::EMPTY, vec![(payload["ms"].as_u64().unwrap_or(0), Mail::StopItself)])
        }
        ("room", _) => Joined::Ok(Payload::EMPTY, vec![(0, Mail::AfterJoin)]),
        _ => ok(json!({})),
    }
}

pub(crate) fn traps_exits(process: &Process) -> bool {
    process.topic.starts_with("trap:")
}

pub(crate) fn intercepts(process: &Process, event: &str) -> bool {
    process.topic.starts_with("intercept:") && event == "shout"
}

pub(crate) fn handle(app: &mut App<'_>, pid: Pid, mail: Mail) -> After {
    let topic = app.processes[&pid].topic.clone();
    match mail {
        Mail::Leave { reference } => match app.reply(pid, reference, "ok", Payload::EMPTY) {
            Ok(()) => After::Stop,
            Err(_) => After::Crash,
        },
        Mail::AsyncReply { reference, payload } => app.reply(pid, Some(reference), "ok", payload).into(),
        Mail::Control(request) => app.push(pid, "from_info", request["push"].clone().into()).into(),
        Mail::Broadcast(broadcast) if topic.starts_with("intercept:") => {
            let mut payload = value(&broadcast.payload);
            let name = value(&app.processes[&pid].payload)["name"].clone();
            if payload["drop"] == name {
                return After::Continue;
            }
            if payload["stop"] == name {
                return After::Stop;
            }
            payload["seen_by"] = name;
            app.push(pid, "shout", payload.into()).into()
        }
        Mail::Broadcast(Broadcast { topic, event, payload }) => {
            let forwarded =
                json!({"topic": topic.as_str(), "event": event.as_str(), "payload": value(&payload)});
            app.push(pid, "forwarded", forwarded.into()).into()
        }
        Mail::AfterJoin => room::after_join(app, pid),
        Mail::StopItself => match &topic["selfstop:".len()..] {
            "normal" | "shutdown" | "tuple" => After::Stop,
            "push_then_stop" => {
                app.push(pid, "bye", Payload::EMPTY).expect("an object is encodable");
                After::Stop
            }
            _ => After::Crash,
        },
        Mail::Message { event, reference, payload } => {
            let Some(event) = event.text() else { return After::Crash };
            let module = topic.split(':').next().unwrap_or_default();
            match (module, &**event) {
                ("echo" | "assigned", event) => echo(app, pid, event, reference, payload),
                ("slowjoin" | "trap" | "exact" | "bench", "echo") => {
                    app.reply(pid, reference, "ok", payload).into()
                }
                ("intercept", event) => intercepting(app, pid, event, reference, payload),
                ("room", event) => room::handle(app, pid, event, reference, &payload),
                _ => After::Crash,
            }
        }
    }
}

/// What a channel still does when it stops in order.
pub(crate) fn terminate(app: &mut App<'_>, pid: Pid) {
    let Some(process) = app.processes.get(&pid).filter(|process| traps_exits(process)) else { return };
    let topic = process.topic.clone();
    let reason = json!({"reason": "{:shutdown, :left}"});
    app.push(pid, "terminating", reason.into()).expect("an object is encodable");
    app.broadcast(None, &topic, "someone_left", Payload::EMPTY).expect("an object is encodable");
}

fn echo(app: &mut App<'_>, pid: Pid, event: &str, reference: Option<Ref>, payload: Payload) -> After {
    let topic = app.processes[&pid].topic.clone();
    let mut reply =
        |status: &str, payload: Payload| After::from(app.reply(pid, reference.clone(), status, payload));
    match event {
        "echo" => reply("ok", payload),
        "echo_error" => reply("error", payload),
        "ok" => reply("ok", Payload::EMPTY),
        "error" => reply("error", Payload::EMPTY),
        "custom_status" => reply("teapot", json!({"short": true}).into()),
        "custom_atom" => reply("teapot", Payload::EMPTY),
        "reply_list" => reply("ok", json!([1, "two", null]).into()),
        "reply_string" => reply("ok", json!("just a string").into()),
        "reply_nil" => reply("ok", Json::NULL.into()),
        "reply_map" => reply(
            "ok",
            json!({"zeta": 1, "alpha": 2, "status": "s", "response": "r", "nested": {"b": 1, "a": 2}}).into(),
        ),
        "noreply" | "hibernate" => After::Continue,
        "binary" if payload.as_binary().is_some() => reply("ok", payload),
        "binary_error" if payload.as_binary().is_some() => reply("error", payload),
        "binary_size" if payload.as_binary().is_some() => reply("ok", json!({"size": payload.len()}).into()),
        "binary_reply" => reply("ok", data(&payload)),
        "binary_push" => app.push(pid, "bin_pushed", data(&payload)).into(),
        "binary_broadcast" => app.broadcast(None, &topic, "bin_shout", data(&payload)).into(),
        "inspect" | "whoami" | "connect_info" => app.reply_as_recorded(pid, reference).into(),
        "push_me" => app.push(pid, "pushed", payload).into(),
        "push_reply" => match app.push(pid, "pushed", payload) {
            Ok(()) => app.reply(pid, reference, "ok", json!({"after": "push"}).into()).into(),
            Err(_) => After::Crash,
        },
        "push_many" => {
            let count = value(&payload)["n"].as_u64().unwrap_or_default();
            for number in 1..=count {
                app.push(pid, "n", json!({"i": number}).into()).expect("an object is encodable");
            }
            app.reply(pid, reference, "ok", json!({"n": count}).into()).into()
        }
        "push_bad" => app.push(pid, "pushed", json!([1, 2]).into()).into(),
        "shout" => app.broadcast(None, &topic, "shout", payload).into(),
        "shout_from" => app.broadcast(Some(pid), &topic, "shout_from", payload).into(),
        "shout_reply" => match app.broadcast(None, &topic, "shout", payload) {
            Ok(()) => app.reply(pid, reference, "ok", json!({"after": "shout"}).into()).into(),
            Err(_) => After::Crash,
        },
        "async_reply" => match reference {
            Some(reference) => {
                let delay = value(&payload)["ms"].as_u64().unwrap_or(100);
                app.mail_later(delay, pid, Mail::AsyncReply { reference, payload });
                After::Continue
            }
            None => After::Crash,
        },
        "sleep" => {
            let millis = value(&payload)["ms"].as_u64().unwrap_or_default();
            // The reply is written when the sleep is over, before any other mail.
            let answer = Mail::AsyncReply {
                reference: reference.expect("the recordings have one"),
                payload: json!({"slept": millis}).into(),
            };
            app.mail_first(pid, answer);
            After::Sleep(millis)
        }
        "subscribe" => {
            app.subscribe(pid, value(&payload)["topic"].as_str().expect("a topic"));
            app.reply(pid, reference, "ok", Payload::EMPTY).into()
        }
        "unsubscribe" => {
            app.unsubscribe(pid);
            app.reply(pid, reference, "ok", Payload::EMPTY).into()
        }
        "stop" | "stop_shutdown" | "stop_shutdown_tuple" => After::Stop,
        "stop_reply" | "stop_reply_atom" => {
            app.reply(pid, reference, "ok", Payload::EMPTY).expect("an object is encodable");
            After::Stop
        }
        "stop_error_reply" => {
            app.reply(pid, reference, "error", json!({"reason": "boom"}).into())
                .expect("an object is encodable");
            After::Crash
        }
        // A raise, an exit, a bad return value, or no clause at all.
        _ => After::Crash,
    }
}

fn intercepting(app: &mut App<'_>, pid: Pid, event: &str, reference: Option<Ref>, payload: Payload) -> After {
    let topic = app.processes[&pid].topic.clone();
    match event {
        "shout" => app.broadcast(None, &topic, "shout", payload).into(),
        "shout_from" => app.broadcast(Some(pid), &topic, "shout", payload).into(),
        "plain" => app.broadcast(None, &topic, "plain", payload).into(),
        "both" => {
            let sent = app.broadcast(None, &topic, "shout", payload.clone());
            let sent = sent.and_then(|()| app.broadcast(None, &topic, "plain", payload));
            sent.and_then(|()| app.reply(pid, reference, "ok", Payload::EMPTY)).into()
        }
        _ => After::Crash,
    }
}

/// The value of a JSON payload; raw bytes have none.
pub(super) fn value(payload: &Payload) -> Value {
    payload.parse().unwrap_or_default()
}

/// The bytes that the binary events of the echo channel answer with.
fn data(payload: &Payload) -> Payload {
    let json = value(payload);
    match (payload, json["base64"].as_str(), json["size"].as_u64()) {
        (Payload::Binary(data), ..) => data.clone(),
        (_, Some(text), _) => STANDARD.decode(text).expect("valid base64").into(),
        (_, _, Some(size)) => vec![7; usize::try_from(size).expect("a small size")].into(),
        _ => Bytes::from_static(&[0, 1, 2, 253, 254, 255]),
    }
    .into()
}
