//! Channels that a newer join of the same topic replaces (protocol §9.4).

use std::future::pending;
use std::time::Duration;

use http::Request;
use phoenix_server::{
    Answer, Channel, ConnectInfo, Context, Crash, End, Endpoint, Flow, HttpRequest, JoinError, Payload,
    Refused, Router, Socket, SocketOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

struct UserSocket;

impl Socket for UserSocket {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Plain>("plain").channel::<Stubborn>("stubborn");
    }
}

struct Plain;

impl Channel for Plain {
    type Socket = UserSocket;
    type Info = ();

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }
}

/// Does not end when it is told to.
struct Stubborn;

impl Channel for Stubborn {
    type Socket = UserSocket;
    type Info = ();
    const TRAP_EXIT: bool = true;

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Err(Crash::unhandled(event))
    }

    async fn terminate(&mut self, _: End, _: &mut Context<Self>) {
        pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_end_is_dropped_after_five_seconds() {
    let mut client = connect().await;
    send(&mut client, r#"["1","1","stubborn","phx_join",{}]"#).await;
    assert_eq!(
        receive(&mut client).await,
        r#"["1","1","stubborn","phx_reply",{"status":"ok","response":{}}]"#
    );

    let start = Instant::now();
    send(&mut client, r#"["2","2","stubborn","phx_join",{}]"#).await;
    assert_eq!(
        receive(&mut client).await,
        r#"["2","2","stubborn","phx_reply",{"status":"ok","response":{}}]"#
    );
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(receive(&mut client).await, r#"["1","1","stubborn","phx_close",{}]"#);
}

#[tokio::test(start_paused = true)]
async fn joins_that_arrive_together_are_all_answered_before_any_close() {
    let mut client = connect().await;
    let joins =
        ["6", "7", "8"].map(|reference| format!(r#"["{reference}","{reference}","plain","phx_join",{{}}]"#));
    let frames: Vec<u8> = joins.iter().flat_map(|join| frame(join)).collect();
    client.write_all(&frames).await.unwrap();
    for reference in ["6", "7", "8"] {
        let reply =
            format!(r#"["{reference}","{reference}","plain","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        assert_eq!(receive(&mut client).await, reply);
    }
    for reference in ["6", "7"] {
        let close = format!(r#"["{reference}","{reference}","plain","phx_close",{{}}]"#);
        assert_eq!(receive(&mut client).await, close);
    }
}

async fn connect() -> DuplexStream {
    let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build().unwrap();
    let request = Request::get("/socket/websocket?vsn=2.0.0")
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let facts = HttpRequest::new(request.body(()).unwrap().into_parts().0);
    let Answer::Upgrade(upgrade) = endpoint.handle(facts).await else { panic!("no upgrade") };
    let (client, server) = tokio::io::duplex(4096);
    tokio::spawn(upgrade.run(server, &[]));
    client
}

async fn send(client: &mut DuplexStream, text: &str) {
    client.write_all(&frame(text)).await.unwrap();
}

/// A short text frame, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// The text of the next frame, a short one.
async fn receive(client: &mut DuplexStream) -> String {
    let reading = async {
        let mut header = [0; 2];
        client.read_exact(&mut header).await.unwrap();
        assert_eq!(header[0], 0x81);
        let mut text = vec![0; usize::from(header[1])];
        client.read_exact(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("a frame comes")
}
