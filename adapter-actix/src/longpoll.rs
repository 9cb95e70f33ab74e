//! Long polling: the payload of the request in, a body that knows whether it was fetched out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use phoenix_server::LongPoll;

pub(crate) async fn answer(request: Box<LongPoll>, payload: Payload) -> HttpResponse {
    let body = StreamBody::new(payload.map_ok(Frame::data));
    let (parts, body) = phoenix_adapter_longpoll::answer(request, body).await.into_parts();
    crate::builder(&parts).message_body(Body(body)).map_or_else(
        |_| HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
        |response| response.map_body(|_, body| BoxBody::new(body)),
    )
}

/// The body of an answer in the terms of actix-web.
struct Body(phoenix_adapter_longpoll::Body);

impl MessageBody for Body {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(http_body::Body::size_hint(&self.0).lower())
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let bytes = self.0.take();
        Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
    }
}
