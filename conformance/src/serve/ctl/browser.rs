//! What a browser needs: a page with the official client, and a session.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use phoenix_server::{CsrfState, UnixMillis};
use serde_json::{Map, Value, json};

use super::{Refusal, content, json_response};
use crate::serve::app::app;

/// The official client, where npm installs it for the live scenarios.
const CLIENT: &str = "live/node_modules/phoenix/priv/static/phoenix.js";

/// Where the session keeps its CSRF state.
const CSRF_KEY: &str = "_csrf_token";

pub(super) fn page() -> Response<Bytes> {
    let page = "<!doctype html><title>oracle</title><script src=/ctl/phoenix.js></script>";
    content("text/html; charset=utf-8", page)
}

pub(super) async fn phoenix_js() -> Result<Response<Bytes>, Refusal> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(CLIENT);
    let script = tokio::fs::read(path).await.map_err(|_| Refusal::NotFound)?;
    Ok(content("text/javascript", script))
}

/// Puts a user and a CSRF state into the session.
pub(super) fn session(headers: &HeaderMap, params: &Map<String, Value>) -> Result<Response<Bytes>, Refusal> {
    let now = now();
    let store = &app().sessions;
    let mut session = store.decode(headers, now).unwrap_or_default();
    // A new one every time: the original does not load the one of the session either.
    let state = CsrfState::new(random()?);
    let user = params.get("user").cloned().unwrap_or_else(|| "bob".into());
    session.0.insert("user".to_owned(), user);
    session.0.insert(CSRF_KEY.to_owned(), state.as_str().into());
    let mut response = json_response(&json!({"csrf": state.mask(random()?)}));
    response.headers_mut().insert(header::SET_COOKIE, store.encode(&session, now));
    Ok(response)
}

fn random() -> Result<[u8; 18], Refusal> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Failed)?;
    Ok(bytes)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
