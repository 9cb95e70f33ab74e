//! A socket without channels over WebSocket and long polling (FEATURES C21).

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use phoenix_server::{
    Close, CloseCode, ConnectInfo, Control, Crash, Frame, Incoming, RawContext, RawFlow, RawSocket, Refused,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::Client;
use crate::servers::{ALL, start};

/// Does what its messages say.
pub(crate) struct Scripted(String);

impl RawSocket for Scripted {
    type Info = &'static str;

    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        match info.params.text("refuse") {
            Some(_) => Err(Refused::new()),
            None => Ok(Self(info.params.text("key").unwrap_or_default().to_owned())),
        }
    }

    async fn handle_in(&mut self, message: Incoming, cx: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        let Incoming::Text(text) = &message else { return Ok(RawFlow::reply(message)) };
        Ok(match text.as_str() {
            "key" => RawFlow::reply(self.0.as_str()),
            "later" => {
                let handle = cx.handle();
                tokio::spawn(async move { handle.send("info") });
                RawFlow::CONTINUE
            }
            "ping" => RawFlow::reply(Frame::ping("are you there")?),
            "crash" => return Err(Crash::new("on purpose")),
            "close" => RawFlow::push("bye").and_close(Close::new(CloseCode::new(4001), "enough")),
            _ => RawFlow::reply(message),
        })
    }

    async fn handle_control(&mut self, control: Control, _: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        Ok(RawFlow::push(format!("{control:?}")))
    }

    async fn handle_info(&mut self, info: &'static str, _: &mut RawContext<Self>) -> Result<RawFlow, Crash> {
        Ok(RawFlow::push(info))
    }
}

async fn connect(address: SocketAddr, query: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://localhost:{}/raw/websocket?{query}", address.port());
    Ok(tokio_tungstenite::client_async(url, stream).await?.0)
}

#[tokio::test]
async fn it_talks_in_frames_of_all_kinds() {
    for framework in ALL {
        let address = start(framework, None).await;
        let mut socket = connect(address, "key=value").await.unwrap();
        let large = "x".repeat(300_000);
        for (sent, received) in [
            (Message::text("key"), &[Message::text("value")][..]),
            (Message::text("later"), &[Message::text("info")]),
            (
                Message::text("ping"),
                &[Message::Ping("are you there".into()), Message::text("Pong(b\"are you there\")")],
            ),
            (Message::Ping("!".into()), &[Message::Pong("!".into()), Message::text("Ping(b\"!\")")]),
            (Message::binary(vec![0, 255]), &[Message::binary(vec![0, 255])]),
            (Message::text(large.as_str()), &[Message::text(large.as_str())]),
        ] {
            socket.send(sent).await.unwrap();
            for expected in received {
                assert_eq!(socket.next().await.unwrap().unwrap(), *expected, "{framework:?}");
            }
        }
    }
}

#[tokio::test]
async fn it_closes_and_crashes_with_its_code() {
    for framework in ALL {
        let address = start(framework, None).await;
        for (message, bye, code, reason) in [("close", true, 4001, "enough"), ("crash", false, 1011, "")] {
            let mut socket = connect(address, "").await.unwrap();
            socket.send(Message::text(message)).await.unwrap();
            if bye {
                assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("bye"), "{framework:?}");
            }
            let close = CloseFrame { code: code.into(), reason: reason.into() };
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(Some(close)), "{framework:?}");
        }
    }
}

#[tokio::test]
async fn it_refuses_like_any_socket() {
    for framework in ALL {
        let address = start(framework, None).await;
        match connect(address, "refuse=1").await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403, "{framework:?}"),
            other => panic!("{framework:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn it_is_polled() {
    for framework in ALL {
        let address = start(framework, None).await;
        let mut client = Client::connect(address).await;
        let opened = request(&mut client, "GET", "?key=value", "").await;
        assert_eq!(opened["status"], 410, "{framework:?}");
        let session = format!("?token={}", opened["token"].as_str().unwrap());
        for (message, answer) in [("key", "value"), ("anything", "anything"), ("later", "info")] {
            let posted = request(&mut client, "POST", &session, message).await;
            assert_eq!(posted, json!({"status": 200}), "{framework:?}");
            let polled = request(&mut client, "GET", &session, "").await;
            assert_eq!(polled["messages"], json!([answer]), "{framework:?}");
        }
    }
}

async fn request(client: &mut Client, method: &str, query: &str, body: &str) -> Value {
    let length = body.len();
    let head =
        format!("{method} /raw/longpoll{query} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}");
    client.send(format!("{head}\r\n\r\n{body}")).await;
    let (status, body) = client.answer().await.unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}
