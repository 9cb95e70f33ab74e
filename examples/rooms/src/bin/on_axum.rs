//! The rooms in an axum app.

use axum::routing::get;
use phoenix_server::{Endpoint, SocketOptions};
use rooms::UserSocket;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
    let app = axum::Router::new()
        .route("/", get(|| async { "hello" }))
        .merge(phoenix_adapter_axum::router(&endpoint));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
    Ok(axum::serve(listener, app.into_make_service()).await?)
}
