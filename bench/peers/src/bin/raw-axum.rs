//! axum's WebSockets.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use phoenix_bench_peers::{Client, Hub, address};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let hub = Arc::new(Hub::default());
    let upgrade = move |upgrade: WebSocketUpgrade| {
        let hub = Arc::clone(&hub);
        async move { upgrade.on_upgrade(|socket| serve(socket, hub)) }
    };
    let app: Router = Router::new().route("/bench/websocket", get(upgrade));
    let listener = TcpListener::bind(address()).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| _ = stream.set_nodelay(true));
    axum::serve(listener, app.into_make_service()).await
}

async fn serve(mut socket: WebSocket, hub: Arc<Hub<Utf8Bytes>>) {
    let (mut client, mut queue) = Client::new(hub);
    let mut replies = Vec::new();
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => client.handle(&text, &mut replies),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            Some(text) = queue.recv() => replies.push(text),
        }
        for text in replies.drain(..) {
            if socket.send(Message::Text(text)).await.is_err() {
                return;
            }
        }
    }
}
