use std::convert::Infallible;
use std::error::Error;
use std::net::TcpListener;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Response};
use phoenix_server::Endpoint;
use tokio::sync::oneshot;
use warp::Filter;
use warp::filters::path::FullPath;

use crate::serve::{announce, ctl};

pub(in crate::serve) async fn serve(listener: TcpListener, endpoint: Endpoint) -> Result<(), Box<dyn Error>> {
    let app = phoenix_adapter_warp::endpoint(endpoint.clone()).or(control(endpoint.clone()));
    let mut stopped = announce(&listener)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (stop, stopping) = oneshot::channel::<()>();
    let server = warp::serve(app).incoming(listener).graceful(stopping.map(drop)).run();
    let server = tokio::spawn(server);
    stopped.recv().await;
    drop(stop);
    endpoint.shutdown().await;
    Ok(server.await?)
}

fn control(
    endpoint: Endpoint,
) -> impl Filter<Extract = (Response<Bytes>,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .and_then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, body: Bytes| {
            let endpoint = endpoint.clone();
            async move {
                let (method, headers) = (&method, &headers);
                let request =
                    ctl::Request { method, path: path.as_str(), query: &query, headers, body: &body };
                Ok::<_, Infallible>(ctl::ctl(&endpoint, request).await)
            }
        })
}
