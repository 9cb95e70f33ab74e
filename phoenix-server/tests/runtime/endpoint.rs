//! Mounts and their options, the answers to requests, and the end of the endpoint (FEATURES D, E, I).

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, SEC_WEBSOCKET_PROTOCOL};
use http::{Method, Response, StatusCode};
use phoenix_server::{
    AcceptError, Answer, CheckOrigin, DrainOptions, Endpoint, EndpointError, HttpRequest, Refused,
    SocketOptions, TransportOptions, WebSocketOptions,
};
use serde_json::{Value, json};

use crate::support::{
    Probe, RawClient, TestSocket, endpoint, endpoint_with, memory, memory_with_room, probe, upgrade_request,
    websocket,
};

fn facts(request: http::request::Builder) -> HttpRequest {
    HttpRequest::new(request.body(()).unwrap().into_parts().0)
}

fn target(path: &str, probe: &Probe, query: &str) -> String {
    format!("{path}?vsn=2.0.0&probe={}&{query}", probe.name)
}

/// The answer to a request that does not become a WebSocket.
async fn refusal(endpoint: &Endpoint, request: http::request::Builder) -> Response<Bytes> {
    match endpoint.handle(facts(request)).await {
        Answer::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

async fn status(endpoint: &Endpoint, target: &str) -> StatusCode {
    match endpoint.handle(facts(upgrade_request(target))).await {
        Answer::Response(response) => response.status(),
        Answer::NotFound => StatusCode::NOT_FOUND,
        Answer::LongPoll(_) => panic!("no mount has long polling"),
        Answer::Upgrade(upgrade) => upgrade.response().status(),
    }
}

fn build(path: &str, options: SocketOptions) -> Result<Endpoint, EndpointError> {
    Endpoint::builder().socket::<TestSocket>(path, options).build()
}

#[tokio::test(start_paused = true)]
async fn each_mount_has_its_own_path_and_options() {
    let probe = probe();
    let endpoint = Endpoint::builder()
        .socket::<TestSocket>(
            "/socket",
            SocketOptions::new().max_channels(1).transport("memory", TransportOptions::new("memory")),
        )
        .socket::<TestSocket>(
            "/other",
            SocketOptions::new()
                .websocket(WebSocketOptions::new().path("/deep/ws").check_origin(CheckOrigin::Off)),
        )
        .socket::<TestSocket>("/none", SocketOptions::new().without_websocket())
        .build()
        .unwrap();
    assert_eq!(endpoint.paths().collect::<Vec<_>>(), ["/socket/websocket", "/other/deep/ws"]);

    let own_origin = target("/socket/websocket", &probe, "");
    assert_eq!(status(&endpoint, &own_origin).await, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(
        status(&endpoint, &target("/other/deep/ws", &probe, "")).await,
        StatusCode::SWITCHING_PROTOCOLS
    );
    for path in ["/other/websocket", "/none/websocket", "/socket", "/socket/websocket/more", "/"] {
        assert_eq!(status(&endpoint, &target(path, &probe, "")).await, StatusCode::NOT_FOUND, "{path}");
        assert!(!endpoint.serves(path), "{path}");
    }
    let foreign = |path| upgrade_request(&target(path, &probe, "")).header("origin", "https://evil.example");
    assert_eq!(refusal(&endpoint, foreign("/socket/websocket")).await.status(), StatusCode::FORBIDDEN);
    assert!(matches!(endpoint.handle(facts(foreign("/other/deep/ws"))).await, Answer::Upgrade(_)));

    // The limit of the first mount.
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    client.send(&json!(["1", "1", "room:b", "phx_join", {}]));
    assert_eq!(client.recv().await[4]["status"], "error");
}

#[tokio::test(start_paused = true)]
async fn variables_of_a_path_are_parameters_and_win_over_the_query() {
    let probe = probe();
    let endpoint =
        build("/of/:user", SocketOptions::new().websocket(WebSocketOptions::new().path("/:_hidden/ws")))
            .unwrap();
    let target = target("/of/j%C3%BCrgen/1/ws", &probe, "user=query&_hidden=query");
    let Answer::Upgrade(upgrade) = endpoint.handle(facts(upgrade_request(&target))).await else { panic!() };
    let (stream, server) = tokio::io::duplex(4096);
    let task = tokio::spawn(upgrade.run(server, &[]));
    let mut client = RawClient { stream, task };

    client.send(&json!(["1", "1", "room:a", "phx_join", {}])).await;
    client.recv().await;
    client.send(&json!(["1", "2", "room:a", "facts", {}])).await;

    assert_eq!(client.recv().await[4]["response"]["user"], "jürgen");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_answered_as_the_socket_wants() {
    let probe = probe();
    let handled = |refused: &Refused| {
        let mut response = Response::new(Bytes::from(refused.reason::<&str>().copied().unwrap_or("?")));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response
    };
    let plain = build("/socket", SocketOptions::new()).unwrap();
    let options = SocketOptions::new().websocket(WebSocketOptions::new().error_handler(handled));
    let handling = build("/socket", options).unwrap();

    for (connect, endpoint, code, body) in [
        ("refuse", &plain, 403, ""),
        ("because", &plain, 403, ""),
        ("teapot", &plain, 418, "short and stout"),
        ("refuse", &handling, 403, ""),
        ("because", &handling, 429, "a reason"),
        ("teapot", &handling, 418, "short and stout"),
    ] {
        let request = upgrade_request(&target("/socket/websocket", &probe, &format!("connect={connect}")));
        let response = refusal(endpoint, request).await;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (code, body.as_bytes()), "{connect}");
        assert_eq!(response.headers()[CACHE_CONTROL], "max-age=0, private, must-revalidate");
        assert_eq!(endpoint.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_socket_is_answered_with_500_and_harms_nobody() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    for query in ["connect=panic", "id=panic"] {
        assert_eq!(status(&endpoint, &target("/socket/websocket", &probe, query)).await, 500, "{query}");
        let request = http::Request::get(target("/socket/memory", &probe, query));
        let error = endpoint.accept("memory", &facts(request)).await.unwrap_err();
        assert!(matches!(error, AcceptError::Panicked), "{query}");
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    client.expect_alive().await;
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn faulty_requests_have_their_statuses() {
    let (endpoint, probe) = (endpoint(), probe());
    let good = target("/socket/websocket", &probe, "");
    let unversioned = format!("/socket/websocket?probe={}&vsn=", probe.name);
    let request = || upgrade_request(&good);
    let plain = || http::Request::get(&good).header("host", "localhost");
    for (what, request, code) in [
        ("method", request().method(Method::POST), 400),
        ("no upgrade", plain(), 400),
        ("encoding of the query", upgrade_request(&format!("{good}&a=%ff")), 400),
        ("version", upgrade_request(&format!("{unversioned}9.0.0")), 403),
        ("malformed version", upgrade_request(&format!("{unversioned}two")), 403),
        ("origin", request().header("origin", "https://evil.example"), 403),
        ("malformed origin", request().header("origin", "evil"), 403),
    ] {
        assert_eq!(refusal(&endpoint, request).await.status().as_u16(), code, "{what}");
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_transport_of_ones_own_is_asked_for_by_name_and_path() {
    let (endpoint, probe) = (endpoint(), probe());
    let get = |target: &str| facts(http::Request::get(target));
    for (name, path) in [("other", "/socket/memory"), ("memory", "/socket/websocket"), ("memory", "/memory")]
    {
        let error = endpoint.accept(name, &get(&target(path, &probe, ""))).await.unwrap_err();
        assert!(matches!(error, AcceptError::NotFound), "{name} {path}");
    }
    for (query, code) in [("connect=refuse", 403), ("connect=teapot", 418), ("a=%ff", 400)] {
        let error =
            endpoint.accept("memory", &get(&target("/socket/memory", &probe, query))).await.unwrap_err();
        assert_eq!(error.into_response().status().as_u16(), code, "{query}");
    }
    // An accepted connection that is not run never was.
    drop(endpoint.accept("memory", &get(&target("/socket/memory", &probe, ""))).await.unwrap());
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn subprotocols_are_chosen_by_the_mount() {
    let probe = probe();
    let options = WebSocketOptions::new().subprotocols(["two", "one"]);
    let endpoint = build("/socket", SocketOptions::new().websocket(options)).unwrap();
    let offering = |names| {
        upgrade_request(&target("/socket/websocket", &probe, "")).header(SEC_WEBSOCKET_PROTOCOL, names)
    };

    let Answer::Upgrade(upgrade) = endpoint.handle(facts(offering("one, two"))).await else { panic!() };
    assert_eq!(upgrade.response().headers()[SEC_WEBSOCKET_PROTOCOL], "two");
    assert_eq!(refusal(&endpoint, offering("three")).await.status(), StatusCode::FORBIDDEN);
}

#[test]
fn what_cannot_work_is_refused_when_the_endpoint_is_built() {
    let websocket = |options| SocketOptions::new().websocket(options);
    assert!(matches!(build("no slash", SocketOptions::new()), Err(EndpointError::Path(_))));
    let subprotocol = websocket(WebSocketOptions::new().subprotocols(["not a token"]));
    assert!(matches!(build("/socket", subprotocol), Err(EndpointError::Subprotocol(_))));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_in_batches_with_pauses() {
    let probe = probe();
    let options = DrainOptions::new().batch_size(2).batch_interval(Duration::from_secs(3));
    let endpoint = endpoint_with(SocketOptions::new().drainer(options), TransportOptions::new("memory"));
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(memory(&endpoint, &probe, "").await);
    }
    let start = tokio::time::Instant::now();

    let drained = endpoint.shutdown().await;

    assert_eq!((drained.closed, drained.remaining), (5, 0));
    assert_eq!(start.elapsed().as_secs(), 6);
    for client in &mut clients {
        client.expect_close(1012).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_counts_who_does_not_go_in_time() {
    let probe = probe();
    let options = DrainOptions::new().shutdown(Duration::from_secs(1));
    let endpoint = endpoint_with(SocketOptions::new().drainer(options), TransportOptions::new("memory"));
    let mut quick = memory(&endpoint, &probe, "").await;
    let mut stuck = memory_with_room(&endpoint, &probe, "", 1).await;
    stuck.join("room:a", &json!({})).await;
    endpoint.broadcast("room:a", "fills the room", json!({})).unwrap();
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();

    let drained = endpoint.shutdown().await;

    assert_eq!((drained.closed, drained.remaining), (1, 1));
    assert_eq!(start.elapsed().as_secs(), 1);
    quick.expect_close(1012).await;
    stuck.task.await.unwrap();
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_of_several_mounts_adds_up() {
    let probe = probe();
    let endpoint = Endpoint::builder()
        .socket::<TestSocket>(
            "/socket",
            SocketOptions::new().transport("memory", TransportOptions::new("memory")),
        )
        .socket::<TestSocket>("/other", SocketOptions::new())
        .build()
        .unwrap();
    let mut in_memory = memory(&endpoint, &probe, "").await;
    let over_websocket = websocket(&endpoint, &probe, "").await;
    assert_eq!(endpoint.connections(), 2);

    let shutdown = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.shutdown().await }
    });

    in_memory.expect_close(1012).await;
    over_websocket.expect_close(1012).await;
    assert_eq!(shutdown.await.unwrap().closed, 2);
    // From now on nobody gets in, at none of the mounts.
    for path in ["/socket/websocket", "/other/websocket"] {
        assert_eq!(status(&endpoint, &target(path, &probe, "")).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    let request = http::Request::get(target("/socket/memory", &probe, ""));
    let error = endpoint.accept("memory", &facts(request)).await.unwrap_err();
    assert!(matches!(error, AcceptError::Draining));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_of_nobody_is_done_at_once() {
    let start = tokio::time::Instant::now();
    let drained = endpoint().shutdown().await;
    assert_eq!((drained.closed, drained.remaining), (0, 0));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_is_that_of_the_mount() {
    let probe = probe();
    let memory_options = TransportOptions::new("memory").timeout(Duration::from_secs(5));
    let endpoint = endpoint_with(SocketOptions::new(), memory_options);
    let mut client = memory(&endpoint, &probe, "").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    client.expect_alive().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.expect_close(1002).await;

    let patient = endpoint_with(SocketOptions::new(), TransportOptions::new("memory").timeout(None));
    let mut client = memory(&patient, &probe, "").await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    client.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn both_versions_are_spoken_side_by_side() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut new = memory(&endpoint, &probe, "").await;
    new.join("room:a", &json!({})).await;
    let old_target = format!("/socket/websocket?vsn=1.0.0&probe={}", probe.name);
    let Answer::Upgrade(upgrade) = endpoint.handle(facts(upgrade_request(&old_target))).await else {
        panic!()
    };
    let (stream, server) = tokio::io::duplex(4096);
    let mut old = RawClient { stream, task: tokio::spawn(upgrade.run(server, &[])) };
    old.send(&json!({"topic": "room:a", "event": "phx_join", "payload": {}, "ref": "1"})).await;
    assert_eq!(old.recv().await["payload"], json!({"status": "ok", "response": {}}));

    endpoint.broadcast("room:a", "shout", json!({"n": 1})).unwrap();

    new.expect([json!([null, null, "room:a", "shout", {"n": 1}])]).await;
    let heard = old.recv().await;
    assert_eq!(
        (&heard["topic"], &heard["event"], &heard["payload"]),
        (&json!("room:a"), &json!("shout"), &json!({"n": 1}))
    );
    assert_eq!(heard.get("ref"), Some(&Value::Null));
}

#[tokio::test(start_paused = true)]
async fn i5_and_i6_a_drain_may_be_off_or_decided_when_it_begins() {
    let probe = probe();
    let memory_transport = || TransportOptions::new("memory");
    let off = endpoint_with(SocketOptions::new().without_drainer(), memory_transport());
    let mut client = memory(&off, &probe, "").await;
    let start = tokio::time::Instant::now();
    let drained = off.shutdown().await;
    assert_eq!((drained.closed, drained.remaining, start.elapsed()), (0, 1, Duration::ZERO));
    client.expect_alive().await;
    let refused = http::Request::get(target("/socket/memory", &probe, ""));
    assert!(matches!(off.accept("memory", &facts(refused)).await, Err(AcceptError::Draining)));

    let seconds = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1));
    let asked = std::sync::Arc::clone(&seconds);
    let options = move || {
        let interval = Duration::from_secs(asked.load(std::sync::atomic::Ordering::Relaxed));
        DrainOptions::new().batch_size(1).batch_interval(interval)
    };
    let dynamic = endpoint_with(SocketOptions::new().drainer_from(options), memory_transport());
    let _clients = [memory(&dynamic, &probe, "").await, memory(&dynamic, &probe, "").await];
    seconds.store(7, std::sync::atomic::Ordering::Relaxed);
    let start = tokio::time::Instant::now();
    assert_eq!(dynamic.shutdown().await.closed, 2);
    assert_eq!(start.elapsed().as_secs(), 7);
}
