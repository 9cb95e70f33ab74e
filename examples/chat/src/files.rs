//! The page and the npm client, from the disk: the same for every framework.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

/// The files of the page; anything else is not served.
const FILES: [(&str, &str, &str); 4] = [
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/app.js", "app.js", "text/javascript; charset=utf-8"),
    ("/style.css", "style.css", "text/css; charset=utf-8"),
    ("/phoenix.js", "node_modules/phoenix/priv/static/phoenix.min.js", "text/javascript; charset=utf-8"),
];

/// Answers a GET for a path of the page.
pub(crate) fn serve(path: &str) -> Response<Bytes> {
    let Some((_, file, content_type)) = FILES.iter().find(|(served, ..)| *served == path) else {
        return answer(StatusCode::NOT_FOUND, "not found".into(), "text/plain");
    };
    match std::fs::read(page().join(file)) {
        Ok(content) => answer(StatusCode::OK, content.into(), content_type),
        Err(_) => {
            answer(StatusCode::NOT_FOUND, "missing: run `npm ci` in examples/chat/page".into(), "text/plain")
        }
    }
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("page")
}

fn answer(status: StatusCode, body: Bytes, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
