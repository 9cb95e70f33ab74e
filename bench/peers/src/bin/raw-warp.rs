//! warp's WebSockets.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use phoenix_bench_peers::{Client, Hub, address};
use tokio::net::TcpListener;
use warp::Filter;
use warp::ws::{Message, WebSocket, Ws};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let hub = Arc::new(Hub::default());
    let route = warp::path!("bench" / "websocket").and(warp::ws()).map(move |ws: Ws| {
        let hub = Arc::clone(&hub);
        ws.on_upgrade(|socket| serve(socket, hub))
    });
    let listener = TcpListener::bind(address()).await?;
    println!("listening on {}", listener.local_addr()?);
    warp::serve(route).incoming(listener).run().await;
    Ok(())
}

async fn serve(mut socket: WebSocket, hub: Arc<Hub<String>>) {
    let (mut client, mut queue) = Client::new(hub);
    let mut replies = Vec::new();
    loop {
        tokio::select! {
            received = socket.next() => match received {
                Some(Ok(message)) if message.is_close() => return,
                Some(Ok(message)) => {
                    if let Ok(text) = message.to_str() {
                        client.handle(text, &mut replies);
                    }
                }
                Some(Err(_)) | None => return,
            },
            Some(text) = queue.recv() => replies.push(text),
        }
        for text in replies.drain(..) {
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    }
}
