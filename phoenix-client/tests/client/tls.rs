//! Encrypted connections.

use phoenix_client::{ConnectError, Socket, Transport};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// The type of a TLS record with a handshake message, and the major version of all versions of TLS.
const HANDSHAKE: [u8; 2] = [22, 3];

#[tokio::test]
async fn wss_is_encrypted_or_fails() {
    for transport in [Transport::WebSocket, Transport::LongPoll] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("wss://localhost:{}/socket", listener.local_addr().unwrap().port());
        let socket = Socket::builder(address).transport(transport).build().unwrap();
        let connecting = socket.connect();
        let (stream, _) = listener.accept().await.unwrap();
        let start = first_bytes(stream).await;
        assert_eq!(start, HANDSHAKE, "nothing is said in the clear");
        assert!(matches!(connecting.await, Err(ConnectError::Failed(_))), "the server is none");
    }
}

async fn first_bytes(mut stream: TcpStream) -> [u8; 2] {
    let mut start = [0; 2];
    stream.read_exact(&mut start).await.unwrap();
    start
}
