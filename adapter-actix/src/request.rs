//! From the request of actix-web to the types of `http` 1.

use actix_web::HttpRequest as ActixRequest;
use actix_web::http::Version as ActixVersion;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use phoenix_server::{HttpRequest, PeerData};

/// The facts about a request; `None` if it has none of them.
pub(crate) fn facts(request: &ActixRequest, prefix: &str) -> Option<HttpRequest> {
    let original = uri(request.uri())?;
    let mut parts = Request::new(()).into_parts().0;
    parts.uri = match prefix {
        "" => original.clone(),
        prefix => request.uri().path_and_query()?.as_str().strip_prefix(prefix)?.parse().ok()?,
    };
    parts.method = Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    parts.version = match request.version() {
        ActixVersion::HTTP_10 => Version::HTTP_10,
        ActixVersion::HTTP_2 => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    // actix-web keeps headers in no order; this one does not change from request to request.
    let mut headers: Vec<_> = request.headers().iter().collect();
    headers.sort_by(|(left, _), (right, _)| left.as_str().cmp(right.as_str()));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let peer = PeerData { address: request.peer_addr(), ..PeerData::default() };
    let facts = HttpRequest::new(parts).with_peer(peer).with_tls(request.app_config().secure());
    Some(facts.with_original_uri(original))
}

/// Most are a path with a query, which is one text already.
fn uri(uri: &actix_web::http::Uri) -> Option<Uri> {
    let text = match (uri.authority(), uri.path_and_query()) {
        (None, Some(path_and_query)) => Bytes::copy_from_slice(path_and_query.as_str().as_bytes()),
        _ => uri.to_string().into(),
    };
    Uri::from_maybe_shared(text).ok()
}
