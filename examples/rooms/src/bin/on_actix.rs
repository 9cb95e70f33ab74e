//! The rooms in an actix-web app.

use actix_web::{App, HttpServer, web};
use phoenix_server::{Endpoint, SocketOptions};
use rooms::UserSocket;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
    let app = move || {
        App::new()
            .configure(phoenix_adapter_actix::config(&endpoint))
            .route("/", web::get().to(|| async { "hello" }))
    };
    let server = HttpServer::new(app).on_connect(phoenix_adapter_actix::on_connect);
    Ok(server.bind("127.0.0.1:4000")?.run().await?)
}
