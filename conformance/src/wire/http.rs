//! HTTP/1 by hand: requests and responses byte for byte as recorded, or as seen.

use std::fmt::Write as _;
use std::io::Read as _;

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::read::GzDecoder;

use crate::recording::{Payload, Request, Response};

/// More headers than any message has.
const MAX_HEADERS: usize = 128;

/// A compressed body may inflate to this many bytes.
const GUNZIP_LIMIT: u64 = 64 * 1024 * 1024;

/// Bytes that are no HTTP message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("not HTTP: {0}")]
    Head(#[from] httparse::Error),
    #[error("not HTTP: invalid content-length or chunk size")]
    Length,
}

/// The bytes of a request.
pub(crate) fn encode_request(request: &Request, body: &[u8]) -> Vec<u8> {
    let question_mark = if request.query.is_empty() { "" } else { "?" };
    let first = format!(
        "{} {}{question_mark}{} {}\r\n",
        request.method, request.path, request.query, request.version
    );
    encode(first, &request.headers, body)
}

/// The bytes of a response; the body follows the headers as it is.
pub(crate) fn encode_response(response: &Response, body: &[u8]) -> Vec<u8> {
    let first = format!("{} {} {}\r\n", response.version, response.status, response.reason);
    encode(first, &response.headers, body)
}

fn encode(mut head: String, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    for (name, value) in headers {
        // Writing to a `String` cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Takes the first complete request off the buffer.
pub(crate) fn decode_request(buffer: &mut BytesMut) -> Result<Option<Request>, HttpError> {
    let mut storage = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut storage);
    let httparse::Status::Complete(size) = head.parse(buffer)? else { return Ok(None) };
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = own(head.headers);
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        version: version(head.version),
        body: Payload::EMPTY,
        headers,
    };
    let framing = Framing::of(&request.headers)?.unwrap_or(Framing::Length(0));
    let Some(body) = framing.take(buffer, size, false)? else { return Ok(None) };
    Ok(Some(Request { body: Payload::Whole(body), ..request }))
}

/// Takes the first complete response off the buffer.
///
/// `method` is that of the request it answers; `at_end` says that nothing more will come, which completes a body without
/// a length.
pub(crate) fn decode_response(
    buffer: &mut BytesMut,
    method: &str,
    at_end: bool,
) -> Result<Option<Response>, HttpError> {
    let mut storage = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut storage);
    let httparse::Status::Complete(size) = head.parse(buffer)? else { return Ok(None) };
    let status = head.code.unwrap_or_default();
    let response = Response {
        status,
        reason: head.reason.unwrap_or_default().to_owned(),
        version: version(head.version),
        headers: own(head.headers),
        body: Payload::EMPTY,
        gunzipped: None,
    };
    let framing = if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
        Framing::Length(0)
    } else {
        Framing::of(&response.headers)?.unwrap_or(Framing::UntilEnd)
    };
    let Some(body) = framing.take(buffer, size, at_end)? else { return Ok(None) };
    let gzip = response.header("content-encoding").is_some_and(|value| value.eq_ignore_ascii_case("gzip"));
    let gunzipped = if gzip && !body.is_empty() { gunzip(&body).map(Payload::Whole) } else { None };
    Ok(Some(Response { body: Payload::Whole(body), gunzipped, ..response }))
}

fn version(minor: Option<u8>) -> String {
    format!("HTTP/1.{}", minor.unwrap_or(1))
}

fn own(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect()
}

fn gunzip(bytes: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).take(GUNZIP_LIMIT).read_to_end(&mut plain).ok()?;
    Some(plain.into())
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunked,
    UntilEnd,
}

impl Framing {
    fn of(headers: &[(String, String)]) -> Result<Option<Self>, HttpError> {
        let mut length = None;
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("transfer-encoding")
                && value.to_ascii_lowercase().contains("chunked")
            {
                return Ok(Some(Self::Chunked));
            }
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(Self::Length(value.trim().parse().map_err(|_| HttpError::Length)?));
            }
        }
        Ok(length)
    }

    /// Takes head and body off the buffer and returns the body, once it is complete.
    fn take(&self, buffer: &mut BytesMut, head: usize, at_end: bool) -> Result<Option<Bytes>, HttpError> {
        let available = &buffer[head..];
        let (body, size) = match *self {
            Self::Length(length) if available.len() >= length => (available[..length].to_vec(), length),
            Self::UntilEnd if at_end => (available.to_vec(), available.len()),
            Self::Length(_) | Self::UntilEnd => return Ok(None),
            Self::Chunked => match dechunk(available)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        buffer.advance(head + size);
        Ok(Some(body.into()))
    }
}

/// The body of a chunked message and the number of bytes it took.
fn dechunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, HttpError> {
    let mut body = Vec::new();
    let mut position = 0;
    loop {
        let rest = &bytes[position..];
        let size = httparse::parse_chunk_size(rest).map_err(|_| HttpError::Length)?;
        let httparse::Status::Complete((start, length)) = size else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| HttpError::Length)?;
        let end = start.checked_add(length).ok_or(HttpError::Length)?;
        let Some(chunk) = rest.get(start..end) else { return Ok(None) };
        let Some(after) = rest.get(end..).filter(|after| after.len() >= 2) else { return Ok(None) };
        if !after.starts_with(b"\r\n") {
            return Err(HttpError::Length);
        }
        body.extend_from_slice(chunk);
        position += end + 2;
        if length == 0 {
            return Ok(Some((body, position)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_when_its_framing_says_so() {
        let cases: [(&str, &str, &str, bool); 5] = [
            ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok", true),
            (
                "GET",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
                "ok",
                true,
            ),
            ("HEAD", "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n", "", true),
            ("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "", true),
            ("GET", "HTTP/1.0 200 OK\r\n\r\nok", "ok", false),
        ];
        for (method, text, body, before_end) in cases {
            let mut buffer = BytesMut::from(text);
            let early = decode_response(&mut buffer, method, false).unwrap();
            assert_eq!(early.is_some(), before_end, "{text}");
            let response = early.or_else(|| decode_response(&mut buffer, method, true).unwrap()).unwrap();
            assert_eq!(response.body.text(), Some(body), "{text}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_request_survives_encoding() {
        let request = Request {
            method: "POST".into(),
            path: "/a".into(),
            query: "b=c".into(),
            version: "HTTP/1.1".into(),
            headers: vec![("X-Odd-CASE".into(), "1".into()), ("content-length".into(), "2".into())],
            body: "hi".into(),
        };
        let mut buffer = BytesMut::from(&encode_request(&request, b"hi")[..]);
        assert_eq!(decode_request(&mut buffer).unwrap(), Some(request));
    }
}
