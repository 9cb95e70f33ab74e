//! Answers as HTTP has them: headers and pages (protocol §15.2).

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, CONNECTION, CONTENT_TYPE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use phoenix_proto::longpoll;
use phoenix_server::AcceptError;

use crate::Body;
use crate::body::Delivery;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// What Phoenix sends with every answer that says nothing else.
const NO_CACHE: HeaderValue = HeaderValue::from_static("max-age=0, private, must-revalidate");

/// An answer of the protocol, its status in the body.
pub(crate) fn json(answer: longpoll::Answer<'_>) -> Response<Body> {
    with_delivery(answer, None)
}

/// An answer whose messages are handed out again when it is not written.
pub(crate) fn with_delivery(answer: longpoll::Answer<'_>, delivery: Option<Delivery>) -> Response<Body> {
    let json = match answer.to_json() {
        Cow::Borrowed(json) => Bytes::from_static(json.as_bytes()),
        Cow::Owned(json) => Bytes::from(json),
    };
    let mut response = Response::new(Body::with_delivery(json, delivery));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    any_origin(headers);
    response
}

/// The answer to the question of a browser whether a page of another origin may do this (FEATURES H6).
pub(crate) fn preflight(request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    let wanted: Vec<&[u8]> =
        request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(wanted) = HeaderValue::from_bytes(&wanted.join(&b", "[..])) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("get, post, options"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    any_origin(headers);
    response
}

/// The answer to another method than those of the protocol.
pub(crate) fn bad_method() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    any_origin(response.headers_mut());
    response
}

/// The answer to a request that opens no session.
pub(crate) fn refused(error: AcceptError) -> Response<Body> {
    match error {
        AcceptError::Origin(_) | AcceptError::Vsn(_) | AcceptError::Version(_) | AcceptError::Refused(_) => {
            json(longpoll::Answer::Forbidden)
        }
        error => page(error.into_response()),
    }
}

/// The error page of an application, which has no CORS header.
pub(crate) fn error(status: StatusCode) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Bytes::from(format!(r#"{{"errors":{{"detail":"{reason}"}}}}"#)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    // What is left of the body was not read, or is in doubt.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    page(response)
}

fn page(response: Response<Bytes>) -> Response<Body> {
    let mut response = response.map(Body::from);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

fn any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
