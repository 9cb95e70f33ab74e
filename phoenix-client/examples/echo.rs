//! Joins a room, says hello and prints what happens.

use futures_util::StreamExt;
use phoenix_client::{ChannelEvent, Socket};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = Socket::builder("ws://localhost:4000/socket").connect()?;
    let room = socket.channel("room:lobby", json!({ "name": "ann" }));
    let mut events = room.events();
    println!("joined: {:?}", room.join().await?.payload);

    let reply = room.push("shout", &json!({ "text": "hello" })).await?;
    println!("answered {}: {:?}", reply.status.as_str(), reply.payload);

    while let Some(event) = events.next().await {
        match event {
            ChannelEvent::Message(message) => println!("{}: {:?}", message.event.as_str(), message.payload),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
