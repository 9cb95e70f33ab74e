//! Long polling: sessions that outlive their requests, and one keep-alive connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time;

use super::channel::{Draft, Member};
use super::http::{self, Request, token};
use super::hub::{Hub, Link, Peer};
use crate::wire::frame;

const WINDOW: Duration = Duration::from_secs(10);

/// One client across its requests. It never expires.
pub(super) struct Session {
    peer: Arc<Peer>,
    member: Mutex<Member>,
}

/// The long polling of this server behind another HTTP server.
#[derive(Clone)]
pub(crate) struct LongPolls(Arc<Hub>);

impl LongPolls {
    /// None yet. Has a task in the current runtime.
    pub(crate) fn new() -> Self {
        let hub = Arc::new(Hub::default());
        tokio::spawn(Hub::flush_forever(Arc::clone(&hub)));
        Self(hub)
    }

    /// The body of the answer, which is JSON.
    pub(crate) async fn answer(&self, query: &str, is_post: bool, body: &[u8]) -> Vec<u8> {
        answer(&self.0, token(query), is_post, body).await
    }
}

/// Answers one request after the other until the client closes the connection.
pub(super) async fn serve(
    mut stream: TcpStream,
    hub: Arc<Hub>,
    mut request: Request,
    mut rest: Vec<u8>,
) -> io::Result<()> {
    loop {
        let length = request.content_length();
        while rest.len() < length {
            if stream.read_buf(&mut rest).await? == 0 {
                return Ok(());
            }
        }
        let next = rest.split_off(length);
        let body = answer(&hub, request.token(), request.is_post(), &rest).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        match http::read_head(&mut stream, next).await? {
            Some(read) => (request, rest) = read,
            None => return Ok(()),
        }
    }
}

async fn answer(hub: &Arc<Hub>, token: Option<&str>, is_post: bool, body: &[u8]) -> Vec<u8> {
    let number = token.and_then(|token| token.parse::<usize>().ok());
    let session = number.and_then(|number| hub.sessions.lock().get(number).map(Arc::clone));
    match (session, is_post) {
        (None, true) => br#"{"status":410}"#.to_vec(),
        (None, false) => {
            let peer = Peer::new(Link::Mailbox(Notify::new()));
            let member = Mutex::new(Member::new(Arc::clone(hub), Arc::clone(&peer)));
            let token = hub.sessions.lock().insert(Arc::new(Session { peer, member }));
            format!(r#"{{"status":410,"token":"{token}","messages":[]}}"#).into_bytes()
        }
        (Some(session), true) => {
            let mut member = session.member.lock();
            let mut draft = Draft::new();
            for line in body.split(|byte| *byte == b'\n') {
                member.text(line, &mut draft);
            }
            br#"{"status":200}"#.to_vec()
        }
        (Some(session), false) => poll(&session.peer, token.unwrap_or_default()).await,
    }
}

async fn poll(peer: &Peer, token: &str) -> Vec<u8> {
    let frames = time::timeout(WINDOW, mail(peer)).await.unwrap_or_default();
    let status = if frames.is_empty() { 204 } else { 200 };
    let mut body = format!(r#"{{"status":{status},"token":"{token}","messages":["#).into_bytes();
    let mut unread = &frames[..];
    while let Some(found) = frame::next(unread) {
        let text = String::from_utf8_lossy(&unread[found.body.clone()]);
        if unread.len() < frames.len() {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, &text).expect("a string is always written to a vector");
        unread = &unread[found.body.end..];
    }
    body.extend_from_slice(b"]}");
    body
}

async fn mail(peer: &Peer) -> Vec<u8> {
    loop {
        let frames = peer.take_frames();
        if !frames.is_empty() {
            return frames;
        }
        peer.mail().await;
    }
}
