//! As much HTTP/1.1 as an upgrade and a long poll need.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The head of one request.
pub(super) struct Request {
    head: String,
}

impl Request {
    /// The answer to an upgrade; `None` when the request asks for none.
    pub(super) fn websocket_answer(&self) -> Option<Vec<u8>> {
        let key = self.header("sec-websocket-key")?;
        let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize();
        let accept = STANDARD.encode(digest);
        Some(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .into_bytes(),
        )
    }

    pub(super) fn is_post(&self) -> bool {
        self.head.starts_with("POST ")
    }

    /// The value of the query parameter `token`.
    pub(super) fn token(&self) -> Option<&str> {
        let target = self.head.split(' ').nth(1)?;
        let (_, query) = target.split_once('?')?;
        token(query)
    }

    pub(super) fn content_length(&self) -> usize {
        self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The value of the parameter `token`.
pub(super) fn token(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// Reads until a head is complete; gives it and what was read beyond it, `None` at the end of the stream.
pub(super) async fn read_head(
    stream: &mut TcpStream,
    mut buffer: Vec<u8>,
) -> io::Result<Option<(Request, Vec<u8>)>> {
    loop {
        if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = String::from_utf8(buffer).map_err(io::Error::other)?;
            return Ok(Some((Request { head }, rest)));
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> Request {
        Request { head: head.to_owned() }
    }

    #[test]
    fn the_accept_header_is_that_of_the_specification() {
        let request = request("GET /x HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        let answer = String::from_utf8(request.websocket_answer().unwrap()).unwrap();
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    }

    #[test]
    fn a_poll_is_told_from_an_upgrade() {
        let request = request("POST /p?vsn=2.0.0&token=17 HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
        assert!(request.websocket_answer().is_none());
        assert!(request.is_post());
        assert_eq!(request.token(), Some("17"));
        assert_eq!(request.content_length(), 5);
    }
}
