//! What the bytes from a server mean: upgrade answers, frames and HTTP responses.

use std::net::SocketAddr;

use memchr::memmem;

use crate::wire::frame;

/// The key of the example in RFC 6455, and what a server must make of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What stands at the start of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Incomplete,
    /// The upgrade was accepted.
    Opened,
    /// A text message, or the body of a response.
    Message(&'a [u8]),
    Ping(&'a [u8]),
    /// A pong, or a close frame: the end of the stream follows it.
    Ignored,
    /// Nothing a correct server sends here.
    Breach,
}

pub(crate) fn upgrade_request(address: SocketAddr, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// Reads the answer to the upgrade; gives the number of bytes it took.
pub(crate) fn handshake(bytes: &[u8]) -> (Step<'_>, usize) {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return (Step::Incomplete, 0) };
    let head = &bytes[..end];
    if head.starts_with(b"HTTP/1.1 101") && memmem::find(head, ACCEPT).is_some() {
        (Step::Opened, end + 4)
    } else {
        (Step::Breach, bytes.len())
    }
}

/// Reads one frame; gives the number of bytes it took.
pub(crate) fn websocket(bytes: &[u8]) -> (Step<'_>, usize) {
    let Some(found) = frame::next(bytes) else { return (Step::Incomplete, 0) };
    let used = found.body.end;
    let body = &bytes[found.body];
    let step = match found.opcode {
        _ if !found.plain || found.key.is_some() => Step::Breach,
        frame::TEXT => Step::Message(body),
        frame::PING => Step::Ping(body),
        frame::PONG | frame::CLOSE => Step::Ignored,
        _ => Step::Breach,
    };
    (step, used)
}

/// Reads one response; gives the number of bytes it took. Only 200 with a content-length will do.
pub(crate) fn http_response(bytes: &[u8]) -> (Step<'_>, usize) {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return (Step::Incomplete, 0) };
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    let Some(length) = content_length(head).filter(|_| head.starts_with(b"HTTP/1.1 200")) else {
        return (Step::Breach, bytes.len());
    };
    rest.get(..length).map_or((Step::Incomplete, 0), |body| (Step::Message(body), end + 4 + length))
}

fn content_length(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(head).ok()?.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_accept_opens() {
        let good = b"HTTP/1.1 101 x\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nrest";
        assert_eq!(handshake(good), (Step::Opened, good.len() - 4));
        assert_eq!(handshake(&good[..30]), (Step::Incomplete, 0));
        assert_eq!(handshake(b"HTTP/1.1 101 x\r\n\r\n").0, Step::Breach);
        assert_eq!(handshake(b"HTTP/1.1 403 x\r\n\r\n").0, Step::Breach);
    }

    #[test]
    fn a_masked_or_fragmented_frame_is_a_breach() {
        assert_eq!(websocket(&[0x81, 1, b'x', 9]), (Step::Message(b"x"), 3));
        assert_eq!(websocket(&[0x81, 2, b'x']), (Step::Incomplete, 0));
        assert_eq!(websocket(&[0x81, 0x81, 0, 0, 0, 0, b'x']).0, Step::Breach);
        assert_eq!(websocket(&[0x01, 1, b'x']).0, Step::Breach);
    }

    #[test]
    fn a_response_ends_with_its_content_length() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1";
        assert_eq!(http_response(two), (Step::Message(b"{}"), two.len() - 8));
        assert_eq!(http_response(&two[..two.len() - 9]), (Step::Incomplete, 0));
        assert_eq!(http_response(b"HTTP/1.1 200 OK\r\n\r\n").0, Step::Breach);
        assert_eq!(http_response(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n").0, Step::Breach);
    }
}
