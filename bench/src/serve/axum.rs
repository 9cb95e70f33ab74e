use std::io;

use axum::Router;
use phoenix_server::Endpoint;
use tokio::net::TcpListener;

pub(super) async fn serve(listener: TcpListener, endpoint: Endpoint) -> io::Result<()> {
    let app: Router = Router::new().merge(phoenix_adapter_axum::router(&endpoint));
    axum::serve(listener, app).await
}
