//! Rooms in which everybody sees who is there.

use phoenix_proto::presence::{Presence, TrackError};
use phoenix_proto::{Payload, Ref};
use serde_json::{Map, Value, json};

use super::{After, value};
use crate::app::{App, Pid};

pub(super) fn after_join(app: &mut App<'_>, pid: Pid) -> After {
    let meta = meta(app, pid, &json!("online"));
    app.track(pid, &user(app, pid), meta).expect("a new process tracks nothing");
    let list = app.presences(pid);
    app.push(pid, "presence_state", Payload::from(&list)).into()
}

pub(super) fn handle(
    app: &mut App<'_>,
    pid: Pid,
    event: &str,
    reference: Option<Ref>,
    payload: &Payload,
) -> After {
    let payload = value(payload);
    let key = payload["key"].as_str().map_or_else(|| user(app, pid), str::to_owned);
    let response = match event {
        "new_msg" => {
            let topic = app.processes[&pid].topic.clone();
            let message = json!({"user": user(app, pid), "body": payload["body"]});
            app.broadcast(None, &topic, "new_msg", message.into()).expect("an object is encodable");
            Payload::EMPTY
        }
        "status" => {
            let meta = meta(app, pid, &payload["status"]);
            let phx_ref = app.update(pid, &user(app, pid), meta);
            json!({"ref": phx_ref.to_string()}).into()
        }
        "track" => {
            let meta = payload["meta"].as_object().cloned().expect("a meta is an object");
            match app.track(pid, &key, meta) {
                Ok(phx_ref) => json!({"ref": phx_ref.to_string()}).into(),
                Err(TrackError::AlreadyTracked) => return app.reply_as_recorded(pid, reference).into(),
                Err(error) => panic!("{error}"),
            }
        }
        "untrack" => {
            app.untrack(pid, &key);
            Payload::EMPTY
        }
        "list" => Payload::from(&app.presences(pid)),
        "get_by_key" => {
            let presence = Presence::from_entries(app.presences(pid).of_key(&key));
            // An empty list stands for nobody, as in Phoenix.
            presence.map_or_else(|| json!({"result": []}), |found| json!({"result": found})).into()
        }
        _ => return After::Crash,
    };
    app.reply(pid, reference, "ok", response).into()
}

fn user(app: &App<'_>, pid: Pid) -> String {
    value(&app.processes[&pid].payload)["user"].as_str().unwrap_or("anon").to_owned()
}

fn meta(app: &App<'_>, pid: Pid, status: &Value) -> Map<String, Value> {
    let device = value(&app.processes[&pid].payload)["device"].as_str().unwrap_or("d").to_owned();
    Map::from_iter([("device".to_owned(), device.into()), ("status".to_owned(), status.clone())])
}
