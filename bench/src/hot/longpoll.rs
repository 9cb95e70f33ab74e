//! A long-poll session without an HTTP server: requests in, answers out.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use http_body_util::Full;
use phoenix_server::{Answer, Endpoint, HttpRequest};
use serde_json::Value;
use tokio::task::yield_now;

use super::server::{Server, control, push};

/// One client with a poll open, which posts an echo and gets the reply by the poll.
pub(super) struct Polls {
    server: Server,
    get: Parts,
    post: Parts,
    sent: Bytes,
    /// Bytes of the answer to a poll.
    answered: usize,
}

impl Polls {
    pub(super) fn new() -> Self {
        let server = Server::new();
        let opened = server.runtime.block_on(request(&server.endpoint, parts(Method::GET, ""), Bytes::new()));
        let opened: Value = serde_json::from_slice(&opened).expect("the answer is JSON");
        let token = format!("&token={}", opened["token"].as_str().expect("a session has a token"));
        let mut polls = Self {
            get: parts(Method::GET, &token),
            post: parts(Method::POST, &token),
            sent: control("phx_join").into(),
            answered: 0,
            server,
        };
        polls.exchange();
        polls.sent = push("echo", 128, false).into();
        polls.answered = polls.exchange();
        polls
    }

    pub(super) fn once(&mut self) {
        assert_eq!(self.exchange(), self.answered);
    }

    fn exchange(&self) -> usize {
        let Server { runtime, endpoint } = &self.server;
        let (get, endpoint_of_poll) = (self.get.clone(), endpoint.clone());
        runtime.block_on(async {
            let poll = tokio::spawn(async move { request(&endpoint_of_poll, get, Bytes::new()).await });
            yield_now().await;
            let posted = request(endpoint, self.post.clone(), self.sent.clone()).await;
            assert_eq!(posted, r#"{"status":200}"#);
            poll.await.expect("the poll is answered").len()
        })
    }
}

fn parts(method: Method, token: &str) -> Parts {
    let request = Request::builder()
        .method(method)
        .uri(format!("/bench/longpoll?vsn=2.0.0{token}"))
        .header("host", "localhost")
        .header("content-type", "application/x-ndjson");
    request.body(()).expect("the request is valid").into_parts().0
}

async fn request(endpoint: &Endpoint, parts: Parts, body: Bytes) -> Bytes {
    let Answer::LongPoll(request) = endpoint.handle(HttpRequest::new(parts)).await else {
        panic!("long polling is not mounted")
    };
    phoenix_adapter_longpoll::answer(request, Full::new(body)).await.into_body().take()
}
