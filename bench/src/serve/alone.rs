//! A framework without this project: it has the connections, and behind it is the long polling of the limit server. What
//! it costs is what an adapter can reach.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use warp::Filter;

use super::actix::MAX_CONNECTIONS;
use super::{BACKLOG, ServeError, Setup};
use crate::limit::LongPolls;

const JSON: &str = "application/json; charset=utf-8";

pub(super) async fn axum(listener: TcpListener) -> io::Result<()> {
    let polls = LongPolls::new();
    let answer = move |request: Request| {
        let polls = polls.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            let query = parts.uri.query().unwrap_or_default();
            let answer = polls.answer(query, parts.method == Method::POST, &body).await;
            ([(CONTENT_TYPE, JSON)], Body::from(answer)).into_response()
        }
    };
    axum::serve(listener, Router::new().fallback(answer)).await
}

pub(super) async fn warp(listener: TcpListener) -> io::Result<()> {
    let polls = LongPolls::new();
    let answers = warp::method().and(warp::query::raw()).and(warp::body::bytes()).then(
        move |method: Method, query: String, body: Bytes| {
            let polls = polls.clone();
            async move {
                let answer = polls.answer(&query, method == Method::POST, &body).await;
                Response::builder().header(CONTENT_TYPE, JSON).body(answer)
            }
        },
    );
    warp::serve(answers).incoming(listener).run().await;
    Ok(())
}

pub(super) fn actix(setup: &Setup, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    actix_web::rt::System::new().block_on(async {
        let polls = LongPolls::new();
        let server = HttpServer::new(move || {
            let polls = polls.clone();
            let answer = move |request: HttpRequest, body: Bytes| {
                let polls = polls.clone();
                async move {
                    let is_post = request.method() == actix_web::http::Method::POST;
                    let answer = polls.answer(request.query_string(), is_post, &body).await;
                    HttpResponse::Ok().content_type(JSON).body(answer)
                }
            };
            App::new().default_service(web::to(answer))
        })
        .on_connect(phoenix_adapter_actix::on_connect)
        .workers(setup.workers.get())
        .backlog(BACKLOG)
        .max_connections(MAX_CONNECTIONS)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, setup.port))?;
        if let [address] = server.addrs()[..] {
            ready(address);
        }
        Ok(server.run().await?)
    })
}
