//! What the control routes do.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phoenix_server::{BroadcastError, Endpoint, Payload};
use serde_json::{Map, Value, json};

use super::Refusal;
use crate::serve::app::{Ctl, Reach, app};

type Params = Map<String, Value>;

pub(super) fn broadcast(endpoint: &Endpoint, params: &Params) -> Result<Value, Refusal> {
    let payload = params.get("payload").cloned().unwrap_or_else(|| json!({}));
    Ok(published(endpoint, given(params, "topic")?, given(params, "event")?, payload.into()))
}

pub(super) fn broadcast_binary(endpoint: &Endpoint, params: &Params) -> Result<Value, Refusal> {
    let (topic, event, base64) = (given(params, "topic")?, given(params, "event")?, given(params, "base64")?);
    match base64.as_str().and_then(|text| STANDARD.decode(text).ok()) {
        Some(data) => Ok(published(endpoint, topic, event, Payload::Binary(data.into()))),
        None => Ok(answered("raised: the text is no base64")),
    }
}

fn published(endpoint: &Endpoint, topic: &Value, event: &Value, payload: Payload) -> Value {
    let (Some(topic), Some(event)) = (topic.as_str(), event.as_str()) else {
        return answered("raised: topic and event have to be texts");
    };
    match endpoint.broadcast(topic, event, payload) {
        Ok(()) => answered(":ok"),
        Err(error) => answered(&raised(&error)),
    }
}

fn answered(result: &str) -> Value {
    json!({"ok": true, "result": result})
}

fn raised(error: &BroadcastError) -> String {
    format!("raised: {error}")
}

pub(super) fn disconnect(endpoint: &Endpoint, params: &Params) -> Result<Value, Refusal> {
    match endpoint.disconnect(given(params, "id")?.as_str().ok_or(Refusal::Failed)?) {
        Ok(()) => Ok(json!({"ok": true})),
        Err(error) => Ok(json!({"ok": false, "result": raised(&error)})),
    }
}

/// Sends an exit signal: `normal` is ignored by every process that gets it from another one, and all but `kill` by
/// those that trap exits.
pub(super) fn kill(params: &Params) -> Result<Value, Refusal> {
    let channels = channels(params)?;
    let how = match params.get("how") {
        None => "kill",
        Some(how) => how.as_str().ok_or(Refusal::Failed)?,
    };
    let dies = |channel: &Arc<dyn Reach>| how == "kill" || how != "normal" && !channel.traps_exit();
    let reached = channels.iter().filter(|channel| !dies(channel) || channel.abort().is_ok()).count();
    Ok(json!({"ok": true, "count": reached}))
}

pub(super) fn drain(params: &Params) -> Result<Value, Refusal> {
    let reached = channels(params)?.iter().filter(|channel| channel.drain().is_ok()).count();
    Ok(json!({"ok": true, "count": reached}))
}

pub(super) fn info(params: &Params) -> Result<Value, Refusal> {
    let payload = params.get("payload").cloned().unwrap_or_else(|| json!({}));
    let told = |channel: &&Arc<dyn Reach>| channel.tell(Ctl(payload.clone())).is_ok();
    let reached = channels(params)?.iter().filter(told).count();
    Ok(json!({"ok": true, "count": reached}))
}

/// The channels of a topic; nobody has joined what is no text.
fn channels(params: &Params) -> Result<Vec<Arc<dyn Reach>>, Refusal> {
    Ok(given(params, "topic")?.as_str().map(|topic| app().channels(topic)).unwrap_or_default())
}

pub(super) fn log() -> Value {
    app().log_entries().into()
}

pub(super) fn clear_log() -> Value {
    app().clear_log();
    json!({"ok": true})
}

pub(super) fn stats(endpoint: &Endpoint) -> Value {
    json!({
        "otp": "none",
        "elixir": "none",
        "apps": {"phoenix_server": env!("CARGO_PKG_VERSION")},
        "schedulers": std::thread::available_parallelism().map_or(1, usize::from),
        // What a connection has of its own instead.
        "processes": endpoint.connections(),
        "memory": resident_bytes(),
        "longpoll_sessions": 0,
    })
}

/// The memory that the process takes; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

fn given<'a>(params: &'a Params, name: &str) -> Result<&'a Value, Refusal> {
    params.get(name).ok_or(Refusal::BadRequest)
}
