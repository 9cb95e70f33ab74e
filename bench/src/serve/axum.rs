use std::io;
use std::net::SocketAddr;

use axum::Router;
use phoenix_server::Endpoint;
use tokio::net::TcpListener;

pub(super) async fn serve(listener: TcpListener, endpoint: Endpoint) -> io::Result<()> {
    let app: Router = Router::new().merge(phoenix_adapter_axum::router(&endpoint));
    // Not the router itself, which axum would finish anew for each connection.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
}
