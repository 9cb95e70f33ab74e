//! Chat rooms: the example application, mounted in warp, actix-web or axum.

mod cluster;
mod files;
mod room;

use std::error::Error;
use std::net::TcpListener;

use clap::{Parser, ValueEnum};
use phoenix_server::{CheckOrigin, Endpoint, LongPollOptions, Presence, SocketOptions, WebSocketOptions};
use room::{ChatSocket, PRESENCE};

#[derive(Parser)]
#[command(about = "Chat rooms over Phoenix Channels")]
struct Args {
    /// The framework that serves it.
    #[arg(long, value_enum, default_value_t = Adapter::Warp)]
    adapter: Adapter,
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 4000)]
    port: u16,
    #[command(flatten)]
    cluster: cluster::Options,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    Warp,
    Actix,
    Axum,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let listener = TcpListener::bind(("127.0.0.1", args.port))?;
    listener.set_nonblocking(true)?;
    match args.adapter {
        Adapter::Warp => warp_app(&args, listener),
        Adapter::Actix => actix_app(&args, listener),
        Adapter::Axum => axum_app(&args, listener),
    }
}

/// The endpoint, and the presence that has to live as long.
fn start(args: &Args, listener: &TcpListener) -> Result<(Endpoint, Presence), Box<dyn Error>> {
    let options = SocketOptions::new()
        .websocket(WebSocketOptions::new().check_origin(CheckOrigin::Conn))
        .longpoll(LongPollOptions::new().check_origin(CheckOrigin::Conn));
    let endpoint = Endpoint::builder()
        .pubsub(args.cluster.pubsub()?)
        .secret_key_base(cluster::Options::secret()?)
        .socket::<ChatSocket>("/socket", options)
        .build()?;
    let presence = Presence::builder(PRESENCE).tracker(args.cluster.tracker()).start(endpoint.pubsub())?;
    println!("listening on {}", listener.local_addr()?);
    Ok((endpoint, presence))
}

#[tokio::main]
async fn warp_app(args: &Args, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    use warp::Filter;
    let (endpoint, _presence) = start(args, &listener)?;
    let page =
        warp::get().and(warp::path::full()).map(|path: warp::path::FullPath| files::serve(path.as_str()));
    let app = phoenix_adapter_warp::endpoint(endpoint).or(page);
    warp::serve(app).incoming(tokio::net::TcpListener::from_std(listener)?).run().await;
    Ok(())
}

#[actix_web::main]
async fn actix_app(args: &Args, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
    let (endpoint, _presence) = start(args, &listener)?;
    let page = |request: HttpRequest| async move {
        let (parts, body) = files::serve(request.path()).into_parts();
        let content_type = parts.headers[http::header::CONTENT_TYPE].to_str().unwrap_or_default().to_owned();
        let status = actix_web::http::StatusCode::from_u16(parts.status.as_u16()).unwrap_or_default();
        HttpResponse::build(status).content_type(content_type).body(body)
    };
    let app = move || {
        App::new().configure(phoenix_adapter_actix::config(&endpoint)).default_service(web::get().to(page))
    };
    HttpServer::new(app).on_connect(phoenix_adapter_actix::on_connect).listen(listener)?.run().await?;
    Ok(())
}

#[tokio::main]
async fn axum_app(args: &Args, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let (endpoint, _presence) = start(args, &listener)?;
    let page = |uri: http::Uri| async move { files::serve(uri.path()).map(axum::body::Body::from) };
    let app = axum::Router::new().merge(phoenix_adapter_axum::router(&endpoint)).fallback(page);
    axum::serve(tokio::net::TcpListener::from_std(listener)?, app.into_make_service()).await?;
    Ok(())
}
