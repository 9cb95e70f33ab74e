//! The connection of a poll breaks while it waits: the session learns of it from hyper and keeps its messages.

use std::convert::Infallible;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use phoenix_server::{
    Channel, ConnectInfo, Context, Crash, Endpoint, Flow, HttpRequest, JoinError, LongPollOptions, Payload,
    Refused, Router, Socket, SocketOptions,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

struct TestSocket;

impl Socket for TestSocket {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("room:*");
    }
}

struct Room;

impl Channel for Room {
    type Socket = TestSocket;
    type Info = ();

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Ok(Flow::Continue)
    }
}

/// Sends a request on a connection of its own.
async fn send(endpoint: &Endpoint, method: &str, query: &str, body: &str) -> (DuplexStream, JoinHandle<()>) {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let endpoint = endpoint.clone();
    let connection = tokio::spawn(async move {
        let service = service_fn(|request: Request<Incoming>| {
            let answer = phoenix_adapter_hyper::handle(&endpoint, request, |facts: HttpRequest| facts);
            async { Ok::<_, Infallible>(answer.await.unwrap()) }
        });
        // A client that goes away is an error to hyper, and what is tested here.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(server), service).await;
    });
    let request = format!(
        "{method} /socket/longpoll?vsn=2.0.0{query} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    (client, connection)
}

async fn ask(endpoint: &Endpoint, method: &str, query: &str, body: &str) -> Value {
    let (mut client, _connection) = send(endpoint, method, query, body).await;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn its_messages_come_with_the_next_poll() {
    let options = SocketOptions::new().longpoll(LongPollOptions::new());
    let endpoint = Endpoint::builder().socket::<TestSocket>("/socket", options).build().unwrap();
    let token = ask(&endpoint, "GET", "", "").await["token"].as_str().unwrap().to_owned();
    let query = format!("&token={token}");
    let join = r#"["1","1","room:1","phx_join",{}]"#;
    assert_eq!(ask(&endpoint, "POST", &query, join).await["status"], 200);
    assert_eq!(ask(&endpoint, "GET", &query, "").await["messages"].as_array().unwrap().len(), 1);

    let (client, connection) = send(&endpoint, "GET", &query, "").await;
    tokio::task::yield_now().await;
    drop(client);
    connection.await.unwrap();
    endpoint.broadcast("room:1", "news", Payload::EMPTY).unwrap();
    let polled = ask(&endpoint, "GET", &query, "").await;
    assert_eq!(polled["messages"][0], r#"[null,null,"room:1","news",{}]"#);
}
