//! Connecting, heartbeats, closing and reconnecting (protocol §19).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use phoenix_proto::client::{
    Backoff, ChannelError, ChannelState, Closed, Command, Config, ConnectionState, SocketEvent, Source,
    Transport,
};
use phoenix_proto::{Json, Text};

use super::rig::{ENDPOINT, Rig, joined, rig};

#[test]
fn connecting_is_idempotent() {
    let mut rig = rig();
    assert_eq!(rig.socket.state(), ConnectionState::Closed);
    rig.connect();
    rig.connect();
    assert_eq!(rig.socket.state(), ConnectionState::Connecting);
    rig.open();
    rig.connect();
    assert_eq!(rig.socket.state(), ConnectionState::Open);
    assert_eq!(rig.requests.len(), 1);
    assert_eq!(rig.events(), [SocketEvent::Opened { transport: Transport::WebSocket }]);
}

#[test]
fn parameters_and_token_are_asked_at_every_attempt() {
    let attempts = Arc::new(AtomicU32::new(0));
    let mut config = Config::new(ENDPOINT);
    let counter = Arc::clone(&attempts);
    config.params = Source::function(move || {
        let attempt = counter.fetch_add(1, Ordering::Relaxed);
        Json::encode(&serde_json::json!({ "attempt": attempt })).unwrap()
    });
    let counter = Arc::clone(&attempts);
    config.auth_token =
        Source::function(move || Some(Text::from(format!("token {}", counter.load(Ordering::Relaxed)))));
    let mut rig = Rig::new(config);
    rig.connect();
    rig.closed(Closed::failed());
    rig.advance_ms(10);
    let urls: Vec<_> = rig.requests.iter().map(|(_, request)| request.url.to_string()).collect();
    assert_eq!(
        urls,
        ["ws://h/socket/websocket?attempt=0&vsn=2.0.0", "ws://h/socket/websocket?attempt=1&vsn=2.0.0"]
    );
    let protocols = rig.requests[1].1.subprotocols().unwrap();
    assert_eq!(protocols, ["phoenix", "base64url.bearer.phx.dG9rZW4gMg"]);
}

#[test]
fn a_duration_of_zero_is_the_default() {
    let mut config = Config::new(ENDPOINT);
    (config.timeout, config.heartbeat_interval) = (Duration::ZERO, Duration::ZERO);
    config.long_poll_timeout = Duration::ZERO;
    let rig = Rig::new(config);
    let config = rig.socket.config();
    let seconds =
        [config.timeout, config.heartbeat_interval, config.long_poll_timeout].map(|time| time.as_secs());
    assert_eq!(seconds, [10, 30, 20]);
}

#[test]
fn channels_are_told_how_their_connection_ended() {
    for (closed, cause) in [
        (Closed::failed(), ChannelError::ConnectionFailed),
        (Closed::by_frame(Some(1012), "restart"), ChannelError::ConnectionClosed),
        (Closed::by_frame(None, ""), ChannelError::ConnectionClosed),
    ] {
        let (mut rig, room) = joined(Config::new(ENDPOINT));
        rig.closed(closed.clone());
        let errored = SocketEvent::ChannelErrored { channel: room, cause };
        assert_eq!(rig.events(), [errored, SocketEvent::Closed { closed, reconnecting: true }]);
    }
}

#[test]
fn only_channels_that_want_to_be_joined_are_told() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let [joining, left, _never_joined] = ["joining", "left", "fresh"].map(|topic| rig.channel(topic));
    rig.join(joining);
    rig.join(left);
    rig.socket.leave(left, None, rig.now);
    rig.events();
    rig.closed(Closed::failed());
    let errored = rig.events().into_iter().filter_map(|event| match event {
        SocketEvent::ChannelErrored { channel, cause } => Some((channel, cause)),
        _ => None,
    });
    let cause = ChannelError::ConnectionFailed;
    assert_eq!(errored.collect::<Vec<_>>(), [(room, cause.clone()), (joining, cause)]);
}

#[test]
fn reconnects_follow_the_table_and_an_open_connection_resets_it() {
    let mut rig = rig();
    rig.connect();
    let table = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000];
    for (attempt, delay) in table.into_iter().enumerate() {
        rig.closed(Closed::failed());
        rig.advance_ms(delay - 1);
        assert_eq!(rig.requests.len(), attempt + 1, "not before {delay} ms");
        rig.advance_ms(1);
        assert_eq!(rig.requests.len(), attempt + 2, "after {delay} ms");
    }
    rig.open();
    rig.closed(Closed::by_frame(Some(1012), ""));
    rig.advance_ms(10);
    assert_eq!(rig.requests.len(), table.len() + 2);
}

#[test]
fn reconnect_delays_can_be_replaced_and_jittered() {
    let mut config = Config::new(ENDPOINT);
    config.reconnect = Backoff::new([], Duration::from_secs(1)).jitter(100);
    config.jitter_seed = 42;
    let mut rig = Rig::new(config);
    rig.connect();
    rig.closed(Closed::failed());
    let due = rig.socket.poll_timeout().unwrap() - rig.now;
    assert!(due > Duration::from_secs(1) && due < Duration::from_secs(2), "{due:?}");
}

#[test]
fn which_closes_are_followed_by_a_reconnect() {
    for (closed, reconnecting) in [
        (Closed::by_frame(Some(1000), ""), false),
        (Closed::by_frame(Some(1001), ""), true),
        (Closed::by_frame(None, ""), true),
        (Closed::failed(), true),
        (Closed::refused(403), true),
    ] {
        let mut rig = rig();
        rig.connect();
        rig.open();
        rig.forget();
        rig.closed(closed.clone());
        assert_eq!(rig.events(), [SocketEvent::Closed { closed, reconnecting }]);
        assert_eq!(rig.socket.poll_timeout().is_some(), reconnecting);
    }
}

#[test]
fn after_a_close_with_1000_connect_connects_again() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.closed(Closed::by_frame(Some(1000), ""));
    assert_eq!(rig.socket.channel_state(room), ChannelState::Errored);
    rig.connect();
    rig.open();
    assert_eq!(rig.sent(), [r#"["2","2","room","phx_join",{}]"#]);
}

#[test]
fn connect_does_a_scheduled_reconnect_now() {
    let mut rig = rig();
    rig.connect();
    rig.closed(Closed::failed());
    rig.connect();
    assert_eq!(rig.requests.len(), 2);
    rig.advance_ms(60_000);
    assert_eq!(rig.requests.len(), 2);
}

#[test]
fn disconnecting_closes_without_a_code_and_for_good() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.socket.disconnect(None, "", rig.now);
    assert_eq!(rig.socket.state(), ConnectionState::Closing);
    let connection = rig.connection.unwrap();
    assert_eq!(rig.closes(), [Command::Close { connection, code: None, reason: Text::default() }]);
    rig.socket.disconnect(None, "", rig.now);
    assert_eq!(rig.closes(), []);
    let closed = Closed::by_frame(Some(1000), "");
    rig.closed(closed.clone());
    let errored = SocketEvent::ChannelErrored { channel: room, cause: ChannelError::ConnectionClosed };
    assert_eq!(rig.events(), [errored, SocketEvent::Closed { closed, reconnecting: false }]);
    assert_eq!(rig.socket.poll_timeout(), None);
}

#[test]
fn disconnecting_passes_on_code_and_reason() {
    let (mut rig, _) = joined(Config::new(ENDPOINT));
    rig.socket.disconnect(Some(4000), "bye", rig.now);
    let connection = rig.connection.unwrap();
    assert_eq!(rig.closes(), [Command::Close { connection, code: Some(4000), reason: "bye".into() }]);
}

#[test]
fn a_transport_that_does_not_close_is_abandoned() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.socket.disconnect(Some(4000), "bye", rig.now);
    rig.advance_ms(2999);
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
    rig.advance_ms(1);
    let connection = rig.connection.unwrap();
    assert!(rig.closes().contains(&Command::Abort { connection }));
    assert_eq!(rig.socket.channel_state(room), ChannelState::Errored);
    assert_eq!(rig.socket.state(), ConnectionState::Closed);
    assert_eq!(rig.socket.poll_timeout(), None);
}

#[test]
fn connecting_during_a_slow_close_leaves_the_old_connection_behind() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let old = rig.connection.unwrap();
    rig.socket.disconnect(None, "", rig.now);
    rig.connect();
    rig.open();
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joining);
    rig.socket.handle_closed(old, Closed::failed(), rig.now);
    assert_eq!(rig.socket.state(), ConnectionState::Open);
}

#[test]
fn heartbeats_follow_their_answers() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    rig.advance_ms(29_999);
    assert_eq!(rig.sent(), [""; 0]);
    rig.advance_ms(1);
    assert_eq!(rig.sent(), [r#"[null,"1","phoenix","heartbeat",{}]"#]);
    rig.advance_ms(5_000);
    rig.receive(r#"[null,"1","phoenix","phx_reply",{"response":{},"status":"ok"}]"#);
    rig.advance_ms(29_999);
    assert_eq!(rig.sent(), [""; 0]);
    rig.advance_ms(1);
    assert_eq!(rig.sent(), [r#"[null,"2","phoenix","heartbeat",{}]"#]);
}

#[test]
fn a_missed_heartbeat_closes_and_reconnects() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.advance_ms(60_000);
    let connection = rig.connection.unwrap();
    let reason = "heartbeat timeout".into();
    assert_eq!(rig.closes(), [Command::Close { connection, code: Some(1000), reason }]);
    let cause = ChannelError::HeartbeatTimeout;
    assert_eq!(rig.events(), [SocketEvent::ChannelErrored { channel: room, cause }]);
    rig.closed(Closed::by_frame(Some(1000), ""));
    rig.advance_ms(10);
    assert_eq!(rig.requests.len(), 2);
    rig.open();
    assert_eq!(rig.sent(), [r#"[null,"2","phoenix","heartbeat",{}]"#, r#"["3","3","room","phx_join",{}]"#]);
}

#[test]
fn a_half_open_link_is_replaced_within_its_time() {
    let (mut rig, _room) = joined(Config::new(ENDPOINT));
    rig.advance_ms(60_000 + 3_000 + 10);
    assert_eq!(rig.requests.len(), 2);
}

#[test]
fn long_polling_has_no_heartbeats() {
    let mut config = Config::new(ENDPOINT);
    config.transport = Transport::LongPoll;
    let mut rig = Rig::new(config);
    rig.connect();
    assert_eq!(rig.requests[0].1.url, "http://h/socket/longpoll?vsn=2.0.0");
    rig.open();
    assert_eq!(rig.socket.poll_timeout(), None);
}

#[test]
fn pings_measure_and_end_with_the_connection() {
    let mut rig = rig();
    assert!(rig.socket.ping(rig.now).is_none());
    rig.connect();
    rig.open();
    rig.forget();
    let answered = rig.socket.ping(rig.now).unwrap();
    let lost = rig.socket.ping(rig.now).unwrap();
    assert_eq!(rig.sent()[0], r#"[null,"1","phoenix","heartbeat",{}]"#);
    rig.advance_ms(7);
    rig.receive(r#"[null,"1","phoenix","phx_reply",{"response":{},"status":"ok"}]"#);
    let rtt = Some(Duration::from_millis(7));
    assert_eq!(rig.events(), [SocketEvent::Pong { ping: answered, rtt }]);
    rig.closed(Closed::failed());
    assert_eq!(rig.events()[0], SocketEvent::Pong { ping: lost, rtt: None });
}

#[test]
fn facts_about_an_earlier_connection_are_ignored() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let old = rig.connection.unwrap();
    rig.closed(Closed::failed());
    rig.advance_ms(10);
    rig.forget();
    rig.socket.handle_open(old, rig.now);
    rig.socket.handle_closed(old, Closed::failed(), rig.now);
    let text = r#"[null,null,"room","say",{}]"#.into();
    rig.socket.handle_frame(old, phoenix_proto::Incoming::Text(text), rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.socket.state(), ConnectionState::Connecting);
    assert_eq!(rig.socket.channel_state(room), ChannelState::Errored);
}

#[test]
fn undecodable_units_are_dropped_and_counted() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.receive("{}");
    rig.receive_unit(phoenix_proto::Incoming::Binary(b"\x09".as_slice().into()));
    assert!(rig.events().iter().all(|event| matches!(event, SocketEvent::Undecodable(_))));
    assert_eq!(rig.socket.counters().undecodable, 2);
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
}
