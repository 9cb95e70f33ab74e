//! Each framework behind its own TLS setup (FEATURES D33, D10).

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::servers::{ALL, start};

fn certificate() -> (ServerConfig, ClientConfig) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

#[tokio::test]
async fn a_websocket_over_tls_is_told_as_https() {
    for framework in ALL {
        let (server, client) = certificate();
        let address = start(framework, Some(server)).await;
        let connector = TlsConnector::from(Arc::new(client));
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let port = address.port();
        let mut request =
            format!("wss://localhost:{port}/socket/websocket?vsn=2.0.0").into_client_request().unwrap();
        // Allowed for its host; scheme and port do not count.
        request.headers_mut().insert("origin", "https://localhost".parse().unwrap());

        let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();

        assert_eq!(response.status(), 101, "{framework:?}");
        socket.send(Message::text(r#"["1","1","facts","phx_join",{}]"#)).await.unwrap();
        let reply = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let facts =
            json!({"scheme": "https", "host": "localhost", "port": port, "path": "/socket/websocket"});
        assert_eq!(reply[4], json!({"status": "ok", "response": facts}), "{framework:?}");
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }
}
