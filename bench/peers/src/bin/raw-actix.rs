//! actix-web's WebSockets: actix-ws.

use std::sync::Arc;

use actix_web::web::{self, Data, Payload};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt};
use actix_ws::{Message, MessageStream, Session};
use bytestring::ByteString;
use phoenix_bench_peers::{Client, Hub, address};

type Shared = Data<Arc<Hub<ByteString>>>;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let hub: Shared = Data::new(Arc::default());
    let app = move || App::new().app_data(hub.clone()).route("/bench/websocket", web::get().to(upgrade));
    let server = HttpServer::new(app).workers(1).on_connect(|connection, _| {
        if let Some(stream) = connection.downcast_ref::<rt::net::TcpStream>() {
            _ = stream.set_nodelay(true);
        }
    });
    let server = server.bind(address())?;
    println!("listening on {}", server.addrs()[0]);
    server.run().await
}

async fn upgrade(request: HttpRequest, body: Payload, hub: Shared) -> Result<HttpResponse, Error> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    rt::spawn(serve(session, messages, Arc::clone(&hub)));
    Ok(response)
}

async fn serve(mut session: Session, mut messages: MessageStream, hub: Arc<Hub<ByteString>>) {
    let (mut client, mut queue) = Client::new(hub);
    let mut replies = Vec::new();
    loop {
        tokio::select! {
            received = messages.recv() => match received {
                Some(Ok(Message::Text(text))) => client.handle(&text, &mut replies),
                Some(Ok(Message::Close(reason))) => {
                    _ = session.close(reason).await;
                    return;
                }
                Some(Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            Some(text) = queue.recv() => replies.push(text),
        }
        for text in replies.drain(..) {
            if session.text(text).await.is_err() {
                return;
            }
        }
    }
}
