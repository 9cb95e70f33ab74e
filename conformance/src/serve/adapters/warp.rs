use std::convert::Infallible;
use std::error::Error;
use std::net::TcpListener;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use phoenix_server::Endpoint;
use warp::Filter;
use warp::filters::path::FullPath;

use crate::serve::{ctl, drain, stopped};

pub(in crate::serve) async fn serve(listener: TcpListener, endpoint: Endpoint) -> Result<(), Box<dyn Error>> {
    let app = phoenix_adapter_warp::endpoint(endpoint.clone()).or(control(endpoint.clone()));
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = tokio::spawn(warp::serve(app).incoming(listener).graceful(stopped()).run());
    stopped().await;
    drain(&endpoint).await;
    drop(server);
    Ok(())
}

fn control(
    endpoint: Endpoint,
) -> impl Filter<Extract = (Response<Bytes>,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .and_then(
            move |method: Method, path: FullPath, query: String, headers: HeaderMap, body: Bytes| {
                let endpoint = endpoint.clone();
                async move {
                    let (method, headers) = (&method, &headers);
                    let request =
                        ctl::Request { method, path: path.as_str(), query: &query, headers, body: &body };
                    Ok::<_, Infallible>(ctl::ctl(&endpoint, request).await)
                }
            },
        )
}
