//! The rooms in a warp app.

use phoenix_server::{Endpoint, SocketOptions};
use rooms::UserSocket;
use warp::Filter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
    let hello = warp::path::end().map(|| "hello");
    let app = phoenix_adapter_warp::endpoint(endpoint).or(hello);
    warp::serve(app).run(([127, 0, 0, 1], 4000)).await;
    Ok(())
}
