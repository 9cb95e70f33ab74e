use std::error::Error;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::UPGRADE;
use actix_web::web::{self, Bytes, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use phoenix_server::Endpoint;

use crate::serve::{announce, ctl};

const MAX_BODY: usize = 8_000_000;

pub(in crate::serve) fn serve(
    listener: TcpListener,
    endpoint: Endpoint,
    workers: NonZeroUsize,
) -> Result<(), Box<dyn Error>> {
    actix_web::rt::System::new().block_on(async move {
        let mut stopped = announce(&listener)?;
        let mounted = endpoint.clone();
        let app = move || {
            App::new()
                .configure(phoenix_adapter_actix::config(&mounted))
                .app_data(Data::new(mounted.clone()))
                .default_service(web::to(control))
        };
        let server = HttpServer::new(app)
            .on_connect(phoenix_adapter_actix::on_connect)
            .workers(workers.get())
            // Otherwise the end of a connection waits for its client.
            .client_disconnect_timeout(Duration::ZERO)
            .h1_allow_half_closed(false)
            .disable_signals()
            .listen(listener)?
            .run();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        stopped.recv().await;
        // Closes the listener at once; what it waits for are the connections, which are then closed.
        let stopping = handle.stop(true);
        endpoint.shutdown().await;
        stopping.await;
        Ok(running.await??)
    })
}

async fn control(request: HttpRequest, endpoint: Data<Endpoint>, payload: Payload) -> HttpResponse {
    // To actix-web everything that follows a request for an upgrade is its body.
    let has_body = !request.headers().contains_key(UPGRADE);
    let body = if has_body { payload.to_bytes_limited(MAX_BODY).await } else { Ok(Ok(Bytes::new())) };
    let Ok(Ok(body)) = body else {
        return HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let Ok(method) = Method::from_bytes(request.method().as_str().as_bytes()) else {
        return HttpResponse::new(StatusCode::BAD_REQUEST);
    };
    let facts = ctl::Request {
        method: &method,
        path: request.path(),
        query: request.query_string(),
        headers: &headers,
        body: &body,
    };
    let (parts, body) = ctl::ctl(&endpoint, facts).await.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    response.body(body)
}
