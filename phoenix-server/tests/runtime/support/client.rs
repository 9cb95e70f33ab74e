use bytes::Bytes;
use phoenix_server::{CloseCode, Incoming, Opcode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::MemoryEnd;
use super::app::PATIENCE;

/// A client of a connection in memory, in version 2 of the protocol.
pub(crate) struct Client {
    to_server: Option<mpsc::UnboundedSender<Incoming>>,
    from_server: mpsc::Receiver<MemoryEnd>,
    pub(crate) task: JoinHandle<()>,
}

impl Client {
    pub(super) fn new(
        to_server: mpsc::UnboundedSender<Incoming>,
        from_server: mpsc::Receiver<MemoryEnd>,
        task: JoinHandle<()>,
    ) -> Self {
        Self { to_server: Some(to_server), from_server, task }
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &Value) {
        self.send_raw(Incoming::Text(message.to_string().into()));
    }

    pub(crate) fn send_raw(&self, incoming: Incoming) {
        let _ = self.to_server.as_ref().unwrap().send(incoming);
    }

    /// Sends a message to a topic that was joined with `1`.
    pub(crate) fn push(&self, reference: &str, topic: &str, event: &str, payload: &Value) {
        self.send(&json!(["1", reference, topic, event, payload]));
    }

    /// Joins a topic with `1` and expects success.
    pub(crate) async fn join(&mut self, topic: &str, params: &Value) {
        self.send(&json!(["1", "1", topic, "phx_join", params]));
        let reply = self.recv().await;
        assert_eq!(reply, reply_to("1", topic, "ok", json!({})));
    }

    /// The next message.
    pub(crate) async fn recv(&mut self) -> Value {
        match self.next().await {
            MemoryEnd::Frame(frame) => {
                assert_eq!(frame.opcode(), Opcode::Text);
                serde_json::from_slice(&frame.payload()).unwrap()
            }
            MemoryEnd::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    pub(crate) async fn recv_binary(&mut self) -> Bytes {
        match self.next().await {
            MemoryEnd::Frame(frame) => {
                assert_eq!(frame.opcode(), Opcode::Binary);
                frame.payload()
            }
            MemoryEnd::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    /// Expects these messages, in this order.
    pub(crate) async fn expect(&mut self, messages: impl IntoIterator<Item = Value>) {
        for message in messages {
            assert_eq!(self.recv().await, message);
        }
    }

    /// Expects nothing more for now.
    pub(crate) async fn expect_silence(&mut self) {
        if let Ok(end) = tokio::time::timeout(PATIENCE, self.from_server.recv()).await {
            panic!("unexpected: {end:?}");
        }
    }

    /// Expects the end of the connection, with this code.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        match self.next().await {
            MemoryEnd::Closed(closed) => assert_eq!(closed.map(CloseCode::get), Some(code)),
            MemoryEnd::Frame(frame) => panic!("unexpected: {frame:?}"),
        }
    }

    /// Expects that a heartbeat is answered.
    pub(crate) async fn expect_alive(&mut self) {
        self.send(&json!([null, "hb", "phoenix", "heartbeat", {}]));
        self.expect([json!([null, "hb", "phoenix", "phx_reply", {"status": "ok", "response": {}}])]).await;
    }

    /// Sends no more, as a client that is gone.
    pub(crate) fn vanish(&mut self) {
        self.to_server = None;
    }

    /// The next thing that arrives, or `None` when the connection has nothing more to say.
    pub(crate) async fn try_next(&mut self) -> Option<MemoryEnd> {
        tokio::time::timeout(PATIENCE, self.from_server.recv()).await.expect("something arrives")
    }

    async fn next(&mut self) -> MemoryEnd {
        self.try_next().await.expect("the connection lives")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better")]
/// A reply on a topic that was joined with `1`.
pub(crate) fn reply_to(reference: &str, topic: &str, status: &str, response: Value) -> Value {
    json!(["1", reference, topic, "phx_reply", {"status": status, "response": response}])
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better")]
/// A push on a topic that was joined with `1`.
pub(crate) fn pushed(topic: &str, event: &str, payload: Value) -> Value {
    json!(["1", null, topic, event, payload])
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better")]
/// A broadcast.
pub(crate) fn broadcast(topic: &str, event: &str, payload: Value) -> Value {
    json!([null, null, topic, event, payload])
}

/// The end of a channel that was joined with `1` in order.
pub(crate) fn closed(topic: &str) -> Value {
    json!(["1", "1", topic, "phx_close", {}])
}

/// The crash of a channel that was joined with `1`.
pub(crate) fn crashed(topic: &str) -> Value {
    json!(["1", "1", topic, "phx_error", {"reason": "channel_crash"}])
}
