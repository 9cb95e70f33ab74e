//! Clients that come, poll and vanish leave nothing behind. Alone in its program, because it counts the memory of
//! all of it.

use std::alloc::System;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use http_body_util::Full;
use phoenix_server::{
    Answer, Channel, ConnectInfo, Context, Crash, Endpoint, Flow, HttpRequest, JoinError, LongPollOptions,
    Payload, Refused, Router, Socket, SocketOptions,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::sleep;

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: usize = 300;
const ROUNDS: usize = 5;

struct TestSocket;

impl Socket for TestSocket {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("room:*");
    }
}

struct Room;

impl Channel for Room {
    type Socket = TestSocket;
    type Info = ();

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
        Ok(Flow::Continue)
    }
}

#[tokio::test(start_paused = true)]
async fn abandoned_sessions_leave_nothing_behind() {
    let options = SocketOptions::new().longpoll(LongPollOptions::new());
    let endpoint = Endpoint::builder().socket::<TestSocket>("/socket", options).build().unwrap();
    // What is made once, and tables that keep their size, are made in the first round.
    round(&endpoint).await;
    let before = in_use();
    for _ in 0..ROUNDS {
        round(&endpoint).await;
    }
    let left = in_use().saturating_sub(before);
    // Less than one byte per session that there was.
    assert!(left < SESSIONS * ROUNDS, "{left} bytes are left");
}

async fn round(endpoint: &Endpoint) {
    let sessions = join_all((0..SESSIONS).map(|client| visit(endpoint, client))).await;
    assert_eq!(endpoint.connections(), SESSIONS);
    // Messages for clients that do not come back.
    for _ in 0..10 {
        endpoint.broadcast("room:1", "shout", Payload::EMPTY).unwrap();
    }
    sleep(Duration::from_secs(31)).await;
    assert_eq!(endpoint.connections(), 0);
    drop(sessions);
}

/// Opens, joins, polls, and goes in one of several ways.
async fn visit(endpoint: &Endpoint, client: usize) {
    let opened = request(endpoint, Method::GET, "", "").await;
    let token = opened.split("\"token\":\"").nth(1).unwrap().trim_end_matches("\"}").to_owned();
    let join = format!(r#"["1","1","room:{}","phx_join",{{}}]"#, client % 2);
    assert_eq!(request(endpoint, Method::POST, &token, &join).await, r#"{"status":200}"#);
    match client % 3 {
        0 => {}
        1 => assert!(request(endpoint, Method::GET, &token, "").await.contains("phx_reply")),
        _ => {
            request(endpoint, Method::GET, &token, "").await;
            // The connection breaks while the poll waits.
            let poll = request(endpoint, Method::GET, &token, "");
            assert!(tokio::time::timeout(Duration::from_millis(1), poll).await.is_err());
        }
    }
}

async fn request(endpoint: &Endpoint, method: Method, token: &str, body: &str) -> String {
    let uri = format!("/socket/longpoll?vsn=2.0.0&token={token}");
    let request = Request::builder().method(method).uri(uri).header("content-type", "application/x-ndjson");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let Answer::LongPoll(request) = endpoint.handle(HttpRequest::new(parts)).await else {
        panic!("another answer")
    };
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let mut response = phoenix_adapter_longpoll::answer(request, body).await;
    String::from_utf8(response.body_mut().take().to_vec()).unwrap()
}

fn in_use() -> usize {
    let stats = MEMORY.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
