//! What a client does when something breaks.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt;
use phoenix_client::{
    ChannelError, ChannelEvent, ConnectError, ConnectionEvent, ConnectionState, PushError, Socket, Transport,
};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::app::token;
use crate::server::{World, echo, is_joined, until};

/// The server shuts down and another one takes its place.
pub(crate) async fn a_restart(mut world: World) {
    let socket = world.client().connect().unwrap();
    let room = socket.channel("room:1", json!({ "name": "ann" }));
    let mut events = room.events();
    let mut connection = socket.events();
    room.join().await.unwrap();
    world.shut_down().await;
    until(&mut events, |event| *event == ended(&world)).await;
    let code = loop {
        if let Some(ConnectionEvent::Closed { closed, reconnecting }) = connection.next().await {
            assert!(reconnecting);
            break closed.code;
        }
    };
    match world.transport {
        Transport::WebSocket => assert_eq!(code, 1012),
        // The session is gone, or already the server.
        Transport::LongPoll => assert!([3410, 1011].contains(&code), "{code}"),
    }
    // It waits for the next server, which knows nothing of the first.
    let waiting = room.push("echo", &json!({ "n": 1 }));
    world.start_again();
    until(&mut events, is_joined).await;
    assert_eq!(waiting.await.unwrap().payload, json!({ "n": 1 }).into());
}

/// The link breaks without a word, again and again; no answered push is lost or repeated.
pub(crate) async fn a_cut_link(world: World) {
    let socket = world.client().connect().unwrap();
    let room = socket.channel("room:1", ());
    let mut events = room.events();
    room.join().await.unwrap();
    for n in 0..10 {
        until(&mut events, is_joined).await;
        let on_its_way = room.push("echo", &json!({ "n": n }));
        world.proxy.cut();
        match on_its_way.await {
            Ok(reply) => assert_eq!(reply.payload, json!({ "n": n }).into()),
            Err(PushError::ConnectionLost) => {}
            Err(error) => panic!("{error}"),
        }
    }
    until(&mut events, is_joined).await;
    assert_eq!(echo(&room, &json!({ "n": 10 })).await, json!({ "n": 10 }));
}

/// The link swallows everything, and neither side is told.
pub(crate) async fn a_half_open_link(world: World) {
    // On a busy machine a heartbeat may also be late without that; then it only happens once more.
    let impatient = Duration::from_millis(500);
    let socket = world
        .client()
        .heartbeat_interval(impatient)
        // Longer than a poll waits at the server.
        .configure(|config| config.long_poll_timeout = Duration::from_secs(3))
        .connect()
        .unwrap();
    let room = socket.channel("room:1", ());
    let mut events = room.events();
    room.join().await.unwrap();
    world.proxy.swallow();
    let missed = match world.transport {
        Transport::WebSocket => ChannelError::HeartbeatTimeout,
        Transport::LongPoll => ChannelError::ConnectionFailed,
    };
    until(&mut events, |event| *event == ChannelEvent::Errored(missed.clone())).await;
    until(&mut events, is_joined).await;
}

/// Nothing listens at first.
pub(crate) async fn nothing_listens(world: World) {
    // Bound, so that nobody else takes the port, but not listening.
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = bound.local_addr().unwrap();
    let refused = Socket::builder(format!("ws://{address}/socket")).build().unwrap();
    let error = refused.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed(closed) if closed.failed && closed.http_status.is_none()));

    world.proxy.lead_to(None);
    let socket = world.client().build().unwrap();
    let mut events = socket.events();
    assert!(matches!(socket.connect().await, Err(ConnectError::Failed(_))));
    let room = socket.channel("room:1", ());
    let joining = room.join();
    for _ in 0..3 {
        let event = events.next().await;
        assert!(matches!(event, Some(ConnectionEvent::Closed { reconnecting: true, .. })), "{event:?}");
    }
    world.proxy.lead_to(Some(world.server.address));
    joining.await.unwrap();
    assert_eq!(socket.state(), ConnectionState::Open);
}

/// The server is there and says no.
pub(crate) async fn refusals(world: World) {
    let connect = |mount: &str| world.client_at(mount).params(json!({ "refuse": "yes" })).build().unwrap();
    assert_eq!(connect("socket").connect().await, Err(ConnectError::Refused(403)));
    assert_eq!(connect("guarded").connect().await, Err(ConnectError::Refused(403)), "no token");
    match (world.transport, connect("nowhere").connect().await) {
        (Transport::WebSocket, nowhere) => assert_eq!(nowhere, Err(ConnectError::Refused(404))),
        // Long polling does not look at the status of HTTP.
        (Transport::LongPoll, nowhere) => {
            assert!(matches!(nowhere, Err(ConnectError::Failed(closed)) if closed.code == 1011));
        }
    }
}

/// The token is asked for at every attempt, so that an expired one is replaced.
pub(crate) async fn an_expired_token(world: World) {
    let (fresh, expired) = (token("ann", Duration::ZERO), token("ann", Duration::from_secs(601)));
    let tokens = Mutex::new(vec![fresh.clone(), expired.clone(), fresh]);
    let socket = world
        .client_at("guarded")
        .auth_token_function(move || tokens.lock().unwrap().pop().map(Into::into))
        .build()
        .unwrap();
    let mut connection = socket.events();
    socket.connect().await.unwrap();
    let room = socket.channel("room:1", ());
    let mut events = room.events();
    room.join().await.unwrap();
    until(&mut events, is_joined).await;
    world.server.endpoint.disconnect("user:ann").unwrap();
    until(&mut events, is_joined).await;
    let mut codes = Vec::new();
    while codes.len() < 4 {
        codes.push(match connection.next().await.expect("the socket is there") {
            ConnectionEvent::Opened(_) => "opened".to_owned(),
            ConnectionEvent::Closed { closed, .. } => {
                format!("{} {:?}", closed.code, closed.http_status)
            }
            other => panic!("unexpected: {other:?}"),
        });
    }
    let expected = match world.transport {
        Transport::WebSocket => ["opened", "1001 None", "1006 Some(403)", "opened"],
        Transport::LongPoll => ["opened", "3410 None", "1008 Some(403)", "opened"],
    };
    assert_eq!(codes, expected);
}

/// The server ends the connections of a user; the client comes back.
pub(crate) async fn a_forced_disconnect(world: World) {
    let socket = world.client_at("guarded").auth_token(token("bob", Duration::ZERO)).connect().unwrap();
    let room = socket.channel("room:1", ());
    let mut events = room.events();
    room.join().await.unwrap();
    for _ in 0..3 {
        until(&mut events, is_joined).await;
        world.server.endpoint.disconnect("user:bob").unwrap();
        until(&mut events, |event| *event == ended(&world)).await;
    }
    until(&mut events, is_joined).await;
}

/// What channels are told when the server ends the connection: long polling knows no close frames.
fn ended(world: &World) -> ChannelEvent {
    ChannelEvent::Errored(match world.transport {
        Transport::WebSocket => ChannelError::ConnectionClosed,
        Transport::LongPoll => ChannelError::ConnectionFailed,
    })
}
