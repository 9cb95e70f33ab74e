//! The control routes, by which a test makes the server act.

mod actions;
mod browser;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use phoenix_server::{Endpoint, Params};
use serde_json::{Map, Value, json};

/// A request for anything but a socket.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// A request that is not answered as it wishes.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// Query or body are malformed, or a parameter is missing.
    BadRequest,
    NotFound,
    /// The client accepts no JSON.
    NotAcceptable,
    /// A parameter makes the action fail.
    Failed,
}

/// Answers a request.
pub(super) async fn ctl(endpoint: &Endpoint, request: Request<'_>) -> Response<Bytes> {
    let mut response = respond(endpoint, &request).await.unwrap_or_else(|refusal| {
        let status = match refusal {
            Refusal::BadRequest => StatusCode::BAD_REQUEST,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Refusal::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = json_response(&json!({"errors": {"detail": status.canonical_reason()}}));
        *response.status_mut() = status;
        response
    });
    let no_cache = HeaderValue::from_static("max-age=0, private, must-revalidate");
    response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
    if let Some(id) = request_id(request.headers) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// That of the request, if it is neither too short nor too long, or a new one; as `Plug.RequestId`.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get(REQUEST_ID).filter(|id| (20..=200).contains(&id.len()));
    given.cloned().or_else(|| {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes).ok()?;
        URL_SAFE.encode(bytes).try_into().ok()
    })
}

async fn respond(endpoint: &Endpoint, request: &Request<'_>) -> Result<Response<Bytes>, Refusal> {
    // Parameters are read before anybody asks who they are for.
    let params = params(request)?;
    let segments: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let action = match *segments {
        ["ctl", action] => action,
        ["ctl", "log", "clear"] => "log/clear",
        _ => return Err(Refusal::NotFound),
    };
    // A HEAD request is answered like GET; the HTTP server leaves the body out.
    let post = match *request.method {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => return Err(Refusal::NotFound),
    };
    let is_known = match action {
        "page" | "phoenix.js" | "session" => !post,
        "ping" | "log" | "stats" => !post && accepts_json(request.headers)?,
        _ => post && POST_ACTIONS.contains(&action) && accepts_json(request.headers)?,
    };
    if !is_known {
        return Err(Refusal::NotFound);
    }
    match (post, action) {
        (false, "page") => Ok(browser::page()),
        (false, "phoenix.js") => browser::phoenix_js().await,
        (false, "session") => browser::session(request.headers, &params),
        (false, "ping") => Ok(json_response(&json!({"ok": true}))),
        (false, "log") => Ok(json_response(&actions::log())),
        (false, "stats") => Ok(json_response(&actions::stats(endpoint))),
        (true, "log/clear") => Ok(json_response(&actions::clear_log())),
        (true, "broadcast") => Ok(json_response(&actions::broadcast(endpoint, &params)?)),
        (true, "broadcast_binary") => Ok(json_response(&actions::broadcast_binary(endpoint, &params)?)),
        (true, "disconnect") => Ok(json_response(&actions::disconnect(endpoint, &params)?)),
        (true, "kill") => Ok(json_response(&actions::kill(&params)?)),
        (true, "drain") => Ok(json_response(&actions::drain(&params)?)),
        (true, "info") => Ok(json_response(&actions::info(&params)?)),
        _ => Err(Refusal::NotFound),
    }
}

const POST_ACTIONS: [&str; 7] =
    ["log/clear", "broadcast", "broadcast_binary", "disconnect", "kill", "drain", "info"];

/// # Errors
/// [`Refusal::NotAcceptable`] if the client accepts other types only.
fn accepts_json(headers: &HeaderMap) -> Result<bool, Refusal> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut types = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    let accepted = accept.trim().is_empty()
        || types.any(|range| matches!(range, "*/*" | "application/*" | "application/json"));
    if accepted { Ok(true) } else { Err(Refusal::NotAcceptable) }
}

/// The parameters of the query, and of the body, which win.
fn params(request: &Request<'_>) -> Result<Map<String, Value>, Refusal> {
    let query = |text: &str| match Params::parse(text).map(|params| json!(params)) {
        Ok(Value::Object(params)) => Ok(params),
        _ => Err(Refusal::BadRequest),
    };
    let mut params = query(request.query)?;
    if !matches!(*request.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(params);
    }
    let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match content_type.map(|value| value.split(';').next().unwrap_or_default().trim()) {
        Some("application/json") if !request.body.is_empty() => {
            let body: Value = serde_json::from_slice(request.body).map_err(|_| Refusal::BadRequest)?;
            if let Value::Object(body) = body {
                params.extend(body);
            }
        }
        Some("application/x-www-form-urlencoded") => {
            let body = std::str::from_utf8(request.body).map_err(|_| Refusal::BadRequest)?;
            params.extend(query(body)?);
        }
        _ => {}
    }
    Ok(params)
}

fn json_response(body: &Value) -> Response<Bytes> {
    content("application/json; charset=utf-8", body.to_string())
}

fn content(content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn call(method: Method, target: &str, body: &str) -> (StatusCode, Value) {
        let endpoint = crate::serve::endpoint::endpoint().unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request { method: &method, path, query, headers: &headers, body: body.as_bytes() };
        let response = ctl(&endpoint, request).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    #[tokio::test]
    async fn answers_have_the_shapes_of_the_original() {
        assert_eq!(call(Method::GET, "/ctl/ping", "").await, (StatusCode::OK, json!({"ok": true})));
        let broadcast = r#"{"topic":"t","event":"e"}"#;
        assert_eq!(
            call(Method::POST, "/ctl/broadcast", broadcast).await.1,
            json!({"ok": true, "result": ":ok"})
        );
        let list = r#"{"topic":"t","event":"e","payload":[1]}"#;
        let (_, answer) = call(Method::POST, "/ctl/broadcast", list).await;
        assert!(answer["result"].as_str().unwrap().starts_with("raised: "));
        assert_eq!(call(Method::POST, "/ctl/kill?topic=t", "").await.1, json!({"ok": true, "count": 0}));
    }

    #[tokio::test]
    async fn what_is_no_route_is_not_found() {
        let detail = json!({"errors": {"detail": "Not Found"}});
        for (method, path) in [(Method::GET, "/nope"), (Method::GET, "/ctl/kill"), (Method::PUT, "/ctl/ping")]
        {
            assert_eq!(call(method, path, "").await, (StatusCode::NOT_FOUND, detail.clone()));
        }
    }

    #[tokio::test]
    async fn every_answer_has_a_request_id() {
        let endpoint = crate::serve::endpoint::endpoint().unwrap();
        let mut ids = Vec::new();
        for (given, path) in
            [(None, "/ctl/ping"), (Some("short"), "/nope"), (Some("x".repeat(20).as_str()), "/")]
        {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert(REQUEST_ID, given.parse().unwrap());
            }
            let request = Request { method: &Method::GET, path, query: "", headers: &headers, body: b"" };
            ids.push(ctl(&endpoint, request).await.headers()[REQUEST_ID].clone());
        }
        assert!(ids.iter().all(|id| id.len() == 20), "{ids:?}");
        assert!(ids[0] != ids[1] && ids[2] == "x".repeat(20));
    }

    #[tokio::test]
    async fn who_accepts_no_json_gets_none() {
        let endpoint = crate::serve::endpoint::endpoint().unwrap();
        for (accept, status) in [
            ("text/html,*/*;q=0.8", StatusCode::OK),
            ("application/json", StatusCode::OK),
            ("text/html", StatusCode::NOT_ACCEPTABLE),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            let request =
                Request { method: &Method::GET, path: "/ctl/ping", query: "", headers: &headers, body: b"" };
            assert_eq!(ctl(&endpoint, request).await.status(), status, "{accept}");
        }
    }

    #[tokio::test]
    async fn what_raises_in_the_original_is_told() {
        for body in [r#"{"topic":"t","event":"e","base64":"?"}"#, r#"{"topic":"t","event":1,"base64":""}"#] {
            let (status, answer) = call(Method::POST, "/ctl/broadcast_binary", body).await;
            assert_eq!(status, StatusCode::OK);
            assert!(answer["result"].as_str().unwrap().starts_with("raised: "));
        }
        assert_eq!(
            call(Method::POST, "/ctl/disconnect", r#"{"id":1}"#).await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }

    #[tokio::test]
    async fn bad_parameters_are_refused() {
        for (target, body) in [("/ctl/kill", "{}"), ("/ctl/kill", "{"), ("/ctl/kill?topic=%ff", "")] {
            assert_eq!(call(Method::POST, target, body).await.0, StatusCode::BAD_REQUEST);
        }
    }
}
