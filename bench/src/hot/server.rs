//! The server under test with sockets in memory, on a runtime that only runs when it is asked to.

use http::Request;
use phoenix_server::{Answer, Endpoint, HttpRequest, Payload};
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use super::stream::Stream;
use crate::load::{JOIN_REF, Outgoing, Push};
use crate::serve;
use crate::wire::frame;

pub(super) const TOPIC: &str = "bench:1";

/// The text of a push with a payload of about so many bytes.
pub(super) fn push(event: &str, size: usize, nested: bool) -> String {
    text(Outgoing::new(size, nested), TOPIC, event)
}

/// The same for any topic, with a payload of 128 bytes.
pub(super) fn push_to(topic: &str, event: &str) -> String {
    text(Outgoing::new(128, false), topic, event)
}

fn text(mut outgoing: Outgoing, topic: &str, event: &str) -> String {
    let line = outgoing.line(&Push { reference: 17, topic, event, from: 3, seq: 42 });
    String::from_utf8(line.to_vec()).expect("JSON is text")
}

pub(super) struct Server {
    pub(super) runtime: Runtime,
    pub(super) endpoint: Endpoint,
}

impl Server {
    pub(super) fn new() -> Self {
        Self::sharing(serve::endpoint().expect("the endpoint is valid"))
    }

    pub(super) fn sharing(endpoint: Endpoint) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
        Self { runtime, endpoint }
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Upgrades a connection; its task is spawned.
    fn connect(&self) -> Stream {
        let request = Request::get("/bench/websocket?vsn=2.0.0")
            .header("host", "localhost")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .expect("the request is valid");
        let stream = Stream::default();
        self.runtime.block_on(async {
            let request = HttpRequest::new(request.into_parts().0);
            let Answer::Upgrade(upgrade) = self.endpoint.handle(request).await else {
                panic!("the upgrade is refused")
            };
            tokio::spawn(upgrade.run(stream.clone(), &[]));
        });
        stream
    }

    fn join(&self) -> Stream {
        self.join_with(&masked_text(&control("phx_join")))
    }

    pub(super) fn join_with(&self, join: &[u8]) -> Stream {
        let stream = self.connect();
        self.answered(&stream, join);
        stream
    }

    /// How many bytes the answer has.
    pub(super) fn answered(&self, stream: &Stream, sent: &[u8]) -> usize {
        stream.feed(sent);
        self.until_idle();
        let answered = stream.take_written();
        assert!(answered > 0, "it is answered");
        answered
    }

    /// Lets the tasks run until they have written so many bytes.
    fn until_written(&self, streams: &[Stream], expected: usize) {
        self.runtime.block_on(async {
            let mut written = 0;
            while written < expected {
                yield_now().await;
                written += streams.iter().map(Stream::take_written).sum::<usize>();
            }
            assert_eq!(written, expected);
        });
    }

    fn until_idle(&self) {
        self.runtime.block_on(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
    }
}

/// One client that sends the same again and again.
pub(super) struct Chat {
    server: Server,
    stream: Stream,
    sent: Vec<u8>,
    /// Bytes that come back.
    answered: usize,
}

impl Chat {
    pub(super) fn echo(in_flight: usize, size: usize) -> Self {
        Self::new(&masked_text(&push("echo", size, false)).repeat(in_flight))
    }

    pub(super) fn nested_echo(size: usize) -> Self {
        Self::new(&masked_text(&push("echo", size, true)))
    }

    pub(super) fn rejoin() -> Self {
        let [leave, join] = ["phx_leave", "phx_join"].map(|event| masked_text(&control(event)));
        Self::new(&[leave, join].concat())
    }

    fn new(sent: &[u8]) -> Self {
        let server = Server::new();
        let stream = server.join();
        let answered = server.answered(&stream, sent);
        Self { server, stream, sent: sent.to_vec(), answered }
    }

    pub(super) fn once(&mut self) {
        self.stream.feed(&self.sent);
        self.server.until_written(std::slice::from_ref(&self.stream), self.answered);
    }
}

/// Subscribers of one topic, and broadcasts from elsewhere in the program.
pub(super) struct Fanout {
    server: Server,
    streams: Vec<Stream>,
    payload: Payload,
    broadcasts: usize,
    /// Bytes of one delivery.
    delivered: usize,
}

impl Fanout {
    pub(super) fn new(subscribers: usize, broadcasts: usize) -> Self {
        let server = Server::new();
        let streams: Vec<_> = (0..subscribers).map(|_| server.join()).collect();
        let mut outgoing = Outgoing::new(128, false);
        let line = outgoing.line(&Push { reference: 17, topic: TOPIC, event: "msg", from: 3, seq: 42 });
        let fields: [&RawValue; 5] = serde_json::from_slice(line).expect("a push has five fields");
        let payload = Payload::json(fields[4]).expect("it is JSON");
        server.endpoint.broadcast(TOPIC, "msg", payload.clone()).expect("the payload is an object");
        server.until_idle();
        let delivered = streams[0].take_written();
        for stream in &streams[1..] {
            server.until_written(std::slice::from_ref(stream), delivered);
        }
        Self { server, streams, payload, broadcasts, delivered }
    }

    pub(super) fn once(&mut self) {
        for _ in 0..self.broadcasts {
            self.server
                .endpoint
                .broadcast(TOPIC, "msg", self.payload.clone())
                .expect("the payload is an object");
        }
        let expected = self.delivered * self.broadcasts * self.streams.len();
        self.server.until_written(&self.streams, expected);
    }
}

/// Clients that come, join and go.
pub(super) struct Visits {
    server: Server,
    goodbye: Vec<u8>,
}

impl Visits {
    pub(super) fn new() -> Self {
        Self { server: Server::new(), goodbye: masked(frame::CLOSE, &1000_u16.to_be_bytes()) }
    }

    pub(super) fn once(&mut self) {
        let stream = self.server.join();
        stream.feed(&self.goodbye);
        self.server.until_idle();
        assert!(stream.is_closed(), "the connection is closed");
    }
}

/// The text of a join or a leave.
pub(super) fn control(event: &str) -> String {
    control_for(TOPIC, event)
}

pub(super) fn control_for(topic: &str, event: &str) -> String {
    format!(r#"["{JOIN_REF}","{JOIN_REF}","{topic}","{event}",{{}}]"#)
}

pub(super) fn masked_text(text: &str) -> Vec<u8> {
    masked(frame::TEXT, text.as_bytes())
}

fn masked(opcode: u8, body: &[u8]) -> Vec<u8> {
    let key = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = Vec::new();
    frame::head(&mut bytes, opcode, body.len(), true);
    bytes.extend_from_slice(&key);
    let start = bytes.len();
    bytes.extend_from_slice(body);
    frame::mask(&mut bytes[start..], key);
    bytes
}
