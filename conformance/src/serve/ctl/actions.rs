//! What the control routes do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phoenix_server::{BroadcastError, Endpoint, Payload};
use serde_json::{Map, Value, json};

use super::Refusal;
use crate::serve::app::{Ctl, app};

type Params = Map<String, Value>;

pub(super) fn broadcast(endpoint: &Endpoint, params: &Params) -> Result<Value, Refusal> {
    let payload = params.get("payload").cloned().unwrap_or_else(|| json!({}));
    publish(endpoint, params, payload.into())
}

pub(super) fn broadcast_binary(endpoint: &Endpoint, params: &Params) -> Result<Value, Refusal> {
    let data = STANDARD.decode(text(params, "base64")?).map_err(|_| Refusal::BadRequest)?;
    publish(endpoint, params, Payload::Binary(data.into()))
}

fn publish(endpoint: &Endpoint, params: &Params, payload: Payload) -> Result<Value, Refusal> {
    let sent = endpoint.broadcast(text(params, "topic")?, text(params, "event")?, payload);
    let result = match sent {
        Ok(()) => ":ok".to_owned(),
        Err(error) => raised(&error),
    };
    Ok(json!({"ok": true, "result": result}))
}

fn raised(error: &BroadcastError) -> String {
    format!("raised: {error}")
}

pub(super) fn disconnect(endpoint: &Endpoint, params: &Params) -> Result<Value, Refusal> {
    match endpoint.disconnect(text(params, "id")?) {
        Ok(()) => Ok(json!({"ok": true})),
        Err(error) => Ok(json!({"ok": false, "result": raised(&error)})),
    }
}

/// An exit signal with the reason `normal` changes nothing, as for a process that gets it from another one.
pub(super) fn kill(params: &Params) -> Result<Value, Refusal> {
    let harmless = params.get("how").and_then(Value::as_str) == Some("normal");
    let channels = app().channels(text(params, "topic")?);
    let reached = channels.iter().filter(|channel| harmless || channel.abort().is_ok()).count();
    Ok(json!({"ok": true, "count": reached}))
}

pub(super) fn drain(params: &Params) -> Result<Value, Refusal> {
    let channels = app().channels(text(params, "topic")?);
    let reached = channels.iter().filter(|channel| channel.drain().is_ok()).count();
    Ok(json!({"ok": true, "count": reached}))
}

pub(super) fn info(params: &Params) -> Result<Value, Refusal> {
    let payload = params.get("payload").cloned().unwrap_or_else(|| json!({}));
    let channels = app().channels(text(params, "topic")?);
    let reached = channels.iter().filter(|channel| channel.tell(Ctl(payload.clone())).is_ok()).count();
    Ok(json!({"ok": true, "count": reached}))
}

pub(super) fn log() -> Value {
    app().log_entries().into()
}

pub(super) fn clear_log() -> Value {
    app().clear_log();
    json!({"ok": true})
}

pub(super) fn stats(endpoint: &Endpoint) -> Value {
    let schedulers = std::thread::available_parallelism().map_or(1, usize::from);
    json!({
        "apps": {"phoenix_server": env!("CARGO_PKG_VERSION")},
        "schedulers": schedulers,
        "connections": endpoint.connections(),
        "longpoll_sessions": 0,
    })
}

fn text<'a>(params: &'a Params, name: &str) -> Result<&'a str, Refusal> {
    params.get(name).and_then(Value::as_str).ok_or(Refusal::BadRequest)
}
