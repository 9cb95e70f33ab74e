use std::io;

use phoenix_server::Endpoint;
use tokio::net::TcpListener;

pub(super) async fn serve(listener: TcpListener, endpoint: Endpoint) -> io::Result<()> {
    warp::serve(phoenix_adapter_warp::endpoint(endpoint)).incoming(listener).run().await;
    Ok(())
}
