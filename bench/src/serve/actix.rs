use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use actix_web::{App, HttpServer};
use phoenix_server::Endpoint;

use super::{BACKLOG, ServeError, Setup};

/// More than any mode has.
pub(super) const MAX_CONNECTIONS: usize = 100_000;

pub(super) fn serve(
    setup: &Setup,
    ready: impl FnOnce(SocketAddr),
    endpoint: &Endpoint,
) -> Result<(), ServeError> {
    actix_web::rt::System::new().block_on(async {
        let mounted = endpoint.clone();
        let server = HttpServer::new(move || App::new().configure(phoenix_adapter_actix::config(&mounted)))
            .on_connect(phoenix_adapter_actix::on_connect)
            .workers(setup.workers.get())
            .backlog(BACKLOG)
            .max_connections(MAX_CONNECTIONS)
            .client_disconnect_timeout(Duration::ZERO)
            .disable_signals()
            .bind((Ipv4Addr::LOCALHOST, setup.port))?;
        if let [address] = server.addrs()[..] {
            ready(address);
        }
        Ok(server.run().await?)
    })
}
