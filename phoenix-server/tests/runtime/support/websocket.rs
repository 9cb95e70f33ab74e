use phoenix_server::{Answer, Endpoint, HttpRequest, Upgrade};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::Probe;
use super::app::PATIENCE;

/// A client that speaks the frames of a WebSocket itself.
pub(crate) struct RawClient {
    pub(crate) stream: DuplexStream,
    pub(crate) task: JoinHandle<()>,
}

/// A request for an upgrade, to be changed.
pub(crate) fn upgrade_request(target: &str) -> http::request::Builder {
    http::Request::get(target)
        .header("host", "localhost")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// The upgrade that an endpoint accepts.
pub(crate) async fn upgrade(endpoint: &Endpoint, request: http::request::Builder) -> Upgrade {
    let request = HttpRequest::new(request.body(()).unwrap().into_parts().0);
    match endpoint.handle(request).await {
        Answer::Upgrade(upgrade) => *upgrade,
        other => panic!("{other:?}"),
    }
}

/// A WebSocket of the test socket, with room for so many unread bytes.
pub(crate) async fn connect_websocket(
    endpoint: &Endpoint,
    probe: &Probe,
    query: &str,
    room: usize,
) -> RawClient {
    let target = format!("/socket/websocket?vsn=2.0.0&probe={}&{query}", probe.name);
    let upgrade = upgrade(endpoint, upgrade_request(&target)).await;
    let (stream, server) = tokio::io::duplex(room);
    RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) }
}

pub(crate) async fn websocket(endpoint: &Endpoint, probe: &Probe, query: &str) -> RawClient {
    connect_websocket(endpoint, probe, query, 1 << 20).await
}

impl RawClient {
    /// Sends a masked frame; `first` holds FIN, RSV and opcode.
    pub(crate) async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.stream.write_all(&frame(first, payload)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_frame(0x81, message.to_string().as_bytes()).await;
    }

    /// The first byte and the payload of the next frame.
    pub(crate) async fn recv_frame(&mut self) -> (u8, Vec<u8>) {
        tokio::time::timeout(PATIENCE * 10, self.read_frame()).await.expect("a frame arrives")
    }

    async fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 2];
        self.stream.read_exact(&mut header).await.expect("a frame arrives");
        let length = match header[1] {
            126 => usize::from(self.stream.read_u16().await.unwrap()),
            127 => usize::try_from(self.stream.read_u64().await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.unwrap();
        (header[0], payload)
    }

    pub(crate) async fn recv(&mut self) -> Value {
        let (first, payload) = self.recv_frame().await;
        assert_eq!(first, 0x81, "{payload:?}");
        serde_json::from_slice(&payload).unwrap()
    }

    /// Expects a close frame with this code, then the end of the stream and of the connection.
    pub(crate) async fn expect_close(mut self, code: u16) {
        assert_eq!(self.recv_frame().await, (0x88, code.to_be_bytes().to_vec()));
        assert_eq!(self.stream.read(&mut [0]).await.unwrap(), 0);
        drop(self.stream);
        self.task.await.unwrap();
    }
}

/// A masked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [1, 2, 3, 4];
    const MASKED: u8 = 0x80;
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(MASKED + u8::try_from(short).unwrap()),
        medium @ 126..=0xFFFF => {
            bytes.push(MASKED + 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(MASKED + 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
