use std::error::Error;
use std::net::{SocketAddr, TcpListener};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, ServiceExt};
use phoenix_adapter_axum::EndpointLayer;
use phoenix_server::Endpoint;
use tower::Layer as _;

use crate::serve::{ctl, drain, stopped};

const MAX_BODY: usize = 8_000_000;

pub(in crate::serve) async fn serve(listener: TcpListener, endpoint: Endpoint) -> Result<(), Box<dyn Error>> {
    let rest = Router::new().fallback(control).with_state(endpoint.clone());
    let app = EndpointLayer::new(endpoint.clone()).layer(rest);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(app);
    let mut server = tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(stopped()).into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended??),
        () = stopped() => {}
    }
    drain(&endpoint).await;
    Ok(())
}

async fn control(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = ctl::Request {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    ctl::ctl(&endpoint, request).await.map(Body::from)
}
