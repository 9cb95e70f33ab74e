//! Requests that are no good, and what becomes of their connections.

use std::net::SocketAddr;

use phoenix_server::{Endpoint, HttpRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::{ALL, Framework, listen, start};

const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn upgrade(query: &str, version: &str) -> String {
    format!("GET /socket/websocket?vsn=2.0.0{query} {version}\r\nhost: localhost\r\n{UPGRADE}\r\n")
}

/// A client that speaks HTTP itself.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The status of the next answer; its body is skipped.
    async fn status(&mut self) -> Option<u16> {
        self.answer().await.map(|(status, _)| status)
    }

    /// The status and the body of the next answer.
    pub(crate) async fn answer(&mut self) -> Option<(u16, Vec<u8>)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        Some((head.split(' ').nth(1)?.parse().ok()?, body))
    }

    async fn is_open(&mut self) -> bool {
        self.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        self.status().await == Some(200)
    }
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    for framework in ALL {
        let address = start(framework, None).await;
        let mut healthy = Client::connect(address).await;
        assert!(healthy.is_open().await);
        for garbage in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
            b"what is this\r\n\r\n",
            b"\0\0\0\0",
        ] {
            let mut client = Client::connect(address).await;
            client.send(garbage).await;
            client.0.shutdown().await.unwrap();
            let status = client.status().await;
            assert!(matches!(status, None | Some(400)), "{framework:?} {status:?}");
        }
        assert!(healthy.is_open().await, "{framework:?}");
    }
}

#[tokio::test]
async fn http_1_0_is_no_version_to_upgrade_from() {
    for framework in ALL {
        let address = start(framework, None).await;
        let mut client = Client::connect(address).await;
        client.send(upgrade("", "HTTP/1.0")).await;
        assert_eq!(client.status().await, Some(400), "{framework:?}");
    }
}

#[tokio::test]
async fn a_refused_upgrade_leaves_the_connection_to_the_next_request() {
    for framework in ALL {
        let address = start(framework, None).await;
        let mut client = Client::connect(address).await;
        client.send(upgrade("&refuse=1", "HTTP/1.1")).await;
        assert_eq!(client.status().await, Some(403), "{framework:?}");
        if framework == Framework::Actix {
            // To actix-web all that follows is the body of that request.
            assert_eq!(client.status().await, None);
            continue;
        }
        assert!(client.is_open().await, "{framework:?}");
        client.send(upgrade("", "HTTP/1.1")).await;
        assert_eq!(client.status().await, Some(101), "{framework:?}");
    }
}

#[tokio::test]
async fn a_request_that_comes_in_pieces_is_upgraded_and_what_follows_it_is_kept() {
    for framework in ALL {
        let address = start(framework, None).await;
        let mut client = Client::connect(address).await;
        let mut bytes = upgrade("", "HTTP/1.1").into_bytes();
        // A ping right behind the request, before the answer.
        bytes.extend([0x89, 0x81, 0, 0, 0, 0, b'!']);
        for chunk in bytes.chunks(40) {
            client.send(chunk).await;
        }
        assert_eq!(client.status().await, Some(101), "{framework:?}");
        let mut pong = [0; 3];
        client.0.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\x8a\x01!", "{framework:?}");
    }
}

/// The option belongs to the socket, so that a second handle of it tells.
#[tokio::test]
async fn small_frames_do_not_wait() {
    let endpoint = Endpoint::builder()
        .socket::<rooms::UserSocket>("/socket", phoenix_server::SocketOptions::new())
        .build()
        .unwrap();
    let listener = listen().await;
    let mut client = Client::connect(listener.local_addr().unwrap()).await;
    let stream = listener.accept().await.unwrap().0.into_std().unwrap();
    let witness = stream.try_clone().unwrap();
    assert!(!witness.nodelay().unwrap());
    let stream = TcpStream::from_std(stream).unwrap();
    let service = hyper::service::service_fn(move |request| {
        let endpoint = endpoint.clone();
        async move {
            let answer = phoenix_adapter_hyper::handle(&endpoint, request, |facts: HttpRequest| facts).await;
            Ok::<_, std::convert::Infallible>(answer.unwrap())
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
    tokio::spawn(connection.with_upgrades());

    client.send(upgrade("", "HTTP/1.1")).await;
    assert_eq!(client.status().await, Some(101));
    client.send([0x89, 0x80, 0, 0, 0, 0]).await;
    let mut pong = [0; 2];
    client.0.read_exact(&mut pong).await.unwrap();

    assert!(witness.nodelay().unwrap());

    // actix-web is told by a function for `HttpServer::on_connect`.
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    assert!(!stream.nodelay().unwrap());
    phoenix_adapter_actix::on_connect(&stream, &mut actix_web::dev::Extensions::new());
    assert!(stream.nodelay().unwrap());
}
