//! actix-phoenix-channel, a library of Phoenix Channels for actix-web.

use std::sync::Arc;

use actix_phoenix_channel::{
    ChannelCentral, ChannelConn, ChannelEvent, ChannelHandler, phoenix_channel_handler,
};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer, rt};
use phoenix_bench_peers::address;

struct Bench;

#[async_trait::async_trait]
impl ChannelHandler for Bench {
    async fn join_channel(&self, conn: &ChannelConn, event: ChannelEvent) {
        conn.client().allow_join(&event, &()).await;
    }

    async fn incoming_message(&self, conn: &ChannelConn, event: ChannelEvent) {
        match event.event() {
            "echo" => conn.client().reply_ok(&event, event.payload()).await,
            "bcast" => {
                let (topic, payload) = (event.topic().to_owned(), event.payload().clone());
                conn.client().broadcast((topic, "msg", payload));
            }
            _ => {}
        }
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let central = Data::from(Arc::new(ChannelCentral::new(Bench)));
    let app = move || {
        let route = web::get().to(phoenix_channel_handler::<Bench>);
        App::new().app_data(central.clone()).route("/bench/websocket", route)
    };
    let server = HttpServer::new(app).workers(1).on_connect(|connection, _| {
        if let Some(stream) = connection.downcast_ref::<rt::net::TcpStream>() {
            _ = stream.set_nodelay(true);
        }
    });
    let server = server.bind(address())?;
    println!("listening on {}", server.addrs()[0]);
    server.run().await
}
