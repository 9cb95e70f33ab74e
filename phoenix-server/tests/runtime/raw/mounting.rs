//! How a socket without channels is mounted: like any other.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{Response, StatusCode};
use phoenix_server::testing::TestSocket;
use phoenix_server::{
    AcceptError, CheckOrigin, CloseCode, ConnectInfoOptions, Control, Disconnect, Endpoint, HttpRequest,
    Incoming, Outgoing, RawIncoming, SocketConnected, SocketOptions, Telemetry, Transport, WebSocketOptions,
};
use serde_json::{Value, json};

use super::app::{Scripted, connect, endpoint, endpoint_with, refusal};
use crate::support::{Client, MemoryEnd, Probe, RawClient, memory_at, probe, upgrade, upgrade_request};

fn websocket(options: WebSocketOptions) -> Endpoint {
    endpoint_with(SocketOptions::new().websocket(options))
}

fn request(probe: &Probe, query: &str) -> http::request::Builder {
    upgrade_request(&format!("/raw/websocket?probe={}&{query}", probe.name))
}

#[tokio::test(start_paused = true)]
async fn c3_connect_refuses_as_any_socket_does() {
    let endpoint = websocket(WebSocketOptions::new().error_handler(|refused| {
        let mut response = Response::new(Bytes::from(refused.reason::<&str>().unwrap().to_string()));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    }));
    let probe = probe();
    let refused = |query: &'static str| refusal(&endpoint, request(&probe, query));
    assert_eq!(refused("connect=refuse").await, (StatusCode::FORBIDDEN, String::new()));
    assert_eq!(refused("connect=because").await, (StatusCode::IM_A_TEAPOT, "a reason".to_owned()));
    assert_eq!(refused("connect=panic").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(refusal(&self::endpoint(), request(&probe, "connect=because")).await.0, 403);
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn origins_subprotocols_and_upgrades_are_checked() {
    let policy = CheckOrigin::list(["//example.com"]).unwrap();
    let endpoint = websocket(WebSocketOptions::new().check_origin(policy).subprotocols(["sip"]));
    let probe = probe();
    let from = |origin| request(&probe, "").header(ORIGIN, origin);
    assert_eq!(refusal(&endpoint, from("http://notallowed.com")).await.0, 403);
    let _ = upgrade(&endpoint, from("https://example.com")).await;
    let offering = |protocol| request(&probe, "").header(SEC_WEBSOCKET_PROTOCOL, protocol);
    assert_eq!(refusal(&endpoint, offering("mqtt")).await.0, 403);
    let accepted = upgrade(&endpoint, offering("sip")).await;
    assert_eq!(accepted.response().headers()[SEC_WEBSOCKET_PROTOCOL], "sip");
    let plain =
        http::Request::get(format!("/raw/websocket?probe={}", probe.name)).header("host", "localhost");
    let (status, why) = refusal(&endpoint, plain).await;
    assert_eq!(status, 400);
    assert!(why.contains("connection"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn variables_of_the_path_and_the_query_are_parameters() {
    let info = ConnectInfoOptions::default().with_custom("custom", "value");
    let options = WebSocketOptions::new().path(":device/ws").connect_info(info);
    let options = SocketOptions::new().websocket(options);
    let endpoint = Endpoint::builder().raw_socket::<Scripted>("/raw/:tenant", options).build().unwrap();
    let probe = probe();
    let target = format!("/raw/acme/phone/ws?key=value&probe={}", probe.name);
    let upgrade = upgrade(&endpoint, upgrade_request(&target)).await;
    let (stream, server) = tokio::io::duplex(1024);
    let mut client = RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) };
    client.say("params").await;
    let params = json!({"key": "value", "tenant": "acme", "device": "phone", "probe": probe.name});
    assert_eq!(client.recv().await, json!({"params": params, "custom": {"custom": "value"}}));
}

#[tokio::test(start_paused = true)]
async fn the_version_of_the_channels_protocol_is_nothing_to_it() {
    let endpoint = endpoint();
    for query in ["vsn=9.9.9", "vsn=what", "vsn[a]=b"] {
        connect(&endpoint, &probe(), query).await.expect_alive().await;
    }
}

#[tokio::test(start_paused = true)]
async fn c22_it_runs_over_any_transport() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client: Client = memory_at(&endpoint, &format!("/raw/memory?probe={}", probe.name)).await;
    client.send_raw(Incoming::Binary(Bytes::from_static(b"bytes")));
    assert_eq!(client.recv_binary().await, "bytes");
    client.send_raw(Incoming::Text("close 4001".into()));
    let Some(MemoryEnd::Frame(bye)) = client.try_next().await else { panic!("nothing is sent") };
    assert_eq!(bye.payload(), "bye");
    client.expect_close(4001).await;
    probe.expect(&["init over memory", "in close 4001", "terminate normal None"]).await;
}

/// A transport that knows pings and reasons, and tells what is asked of it.
struct Telling {
    probe: Probe,
    incoming: VecDeque<RawIncoming>,
}

impl Transport for Telling {
    fn poll_receive(&mut self, _: &mut Context<'_>, _: &mut Vec<Incoming>) -> Poll<Result<(), Disconnect>> {
        panic!("pings are wanted, too")
    }

    fn poll_receive_raw(
        &mut self,
        _: &mut Context<'_>,
        incoming: &mut Vec<RawIncoming>,
    ) -> Poll<Result<(), Disconnect>> {
        incoming.extend(self.incoming.pop_front());
        if incoming.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_send(&mut self, _: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        while let Some(frame) = outgoing.pop() {
            self.probe.log(format!("{:?} {:?}", frame.opcode(), frame.payload()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, code: Option<CloseCode>) -> Poll<()> {
        panic!("{code:?} has a reason")
    }

    fn poll_close_with(&mut self, _: &mut Context<'_>, code: CloseCode, reason: &str) -> Poll<()> {
        self.probe.log(format!("close {code} {reason}"));
        Poll::Ready(())
    }

    fn handled(&mut self) {
        self.probe.log("handled");
    }
}

#[tokio::test(start_paused = true)]
async fn c22_a_transport_may_know_pings_and_reasons_and_the_socket_ends_before_it_closes() {
    let (endpoint, probe) = (endpoint(), probe());
    let target = format!("/raw/memory?probe={}", probe.name);
    let request = HttpRequest::new(http::Request::get(target).body(()).unwrap().into_parts().0);
    let ping = RawIncoming::Control(Control::Ping("!".into()));
    let message = RawIncoming::Message(Incoming::Text("close 4001".into()));
    let transport = Telling { probe: probe.clone(), incoming: [ping, message].into() };
    endpoint.accept("memory", &request).await.unwrap().run(transport).await;
    probe
        .expect(&["init over memory", r#"Pong b"!""#, r#"Text b"ping:!""#, "in close 4001", "handled"])
        .await;
    probe.expect(&["terminate normal None", "dropped", r#"Text b"bye""#, "close 4001 enough"]).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_listed_and_has_no_channels() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = connect(&endpoint, &probe, "id=users:1").await;
    let sockets = endpoint.sockets();
    let [socket] = &sockets[..] else { panic!("{sockets:?}") };
    assert!(socket.socket.ends_with("Scripted"));
    assert_eq!((socket.transport, socket.id.as_deref()), ("websocket", Some("users:1")));
    assert!(socket.channels().await.unwrap().is_empty());
    client.expect_alive().await;
    assert!(endpoint.paths().eq(["/raw/websocket"]));
}

#[derive(Default)]
struct Connected(Arc<Mutex<Vec<Value>>>);

impl Telemetry for Connected {
    fn socket_connected(&self, event: &SocketConnected<'_>) {
        let socket = event.socket.rsplit(':').next();
        let seen = json!([socket, event.transport, event.serializer, event.accepted]);
        self.0.lock().unwrap().push(seen);
    }
}

#[tokio::test(start_paused = true)]
async fn telemetry_hears_of_it_without_a_serializer() {
    let telemetry = Connected::default();
    let seen = Arc::clone(&telemetry.0);
    let builder = Endpoint::builder().telemetry(telemetry);
    let endpoint = builder.raw_socket::<Scripted>("/raw", SocketOptions::new()).build().unwrap();
    let probe = probe();
    connect(&endpoint, &probe, "").await.expect_alive().await;
    refusal(&endpoint, request(&probe, "connect=refuse")).await;
    assert_eq!(
        *seen.lock().unwrap(),
        [json!(["Scripted", "websocket", null, true]), json!(["Scripted", "websocket", null, false])]
    );
}

#[tokio::test(start_paused = true)]
async fn the_test_client_of_channels_finds_none() {
    let refused = TestSocket::connect(&endpoint(), "/raw").await.err();
    assert!(matches!(refused, Some(AcceptError::NotFound)), "{refused:?}");
    let request = HttpRequest::new(http::Request::get("/raw/other").body(()).unwrap().into_parts().0);
    assert!(endpoint().accept("other", &request).await.is_err());
}
