//! From WebSockets to long polling (protocol §19.9).

use std::time::Duration;

use phoenix_proto::client::{ChannelState, Closed, Command, Config, Fallback, SocketEvent, Transport};

use super::rig::{ENDPOINT, Rig};

fn with_fallback(change: impl FnOnce(&mut Fallback)) -> Rig {
    let mut fallback = Fallback::after(Duration::from_secs(2));
    change(&mut fallback);
    let mut config = Config::new(ENDPOINT);
    config.fallback = Some(fallback);
    Rig::new(config)
}

fn transports(rig: &Rig) -> Vec<Transport> {
    rig.requests.iter().map(|(transport, _)| *transport).collect()
}

const PONG: &str = r#"[null,"1","phoenix","phx_reply",{"response":{},"status":"ok"}]"#;

#[test]
fn a_refused_websocket_is_replaced_at_once_and_joins_go_on() {
    let mut rig = with_fallback(|_| ());
    rig.connect();
    let room = rig.channel("room");
    rig.join(room);
    rig.closed(Closed::refused(404));
    assert_eq!(transports(&rig), [Transport::WebSocket, Transport::LongPoll]);
    assert_eq!(rig.requests[1].1.url, "http://h/socket/longpoll?vsn=2.0.0");
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joining);
    rig.open();
    assert_eq!(rig.sent(), [r#"["1","1","room","phx_join",{}]"#]);
    let events = rig.events();
    assert!(events.contains(&SocketEvent::FellBack) && events.contains(&SocketEvent::FallbackConfirmed));
}

#[test]
fn a_websocket_that_hangs_is_replaced_in_time() {
    let mut rig = with_fallback(|_| ());
    rig.connect();
    let first = rig.connection.unwrap();
    rig.advance_ms(1999);
    assert_eq!(transports(&rig), [Transport::WebSocket]);
    rig.advance_ms(1);
    assert_eq!(transports(&rig), [Transport::WebSocket, Transport::LongPoll]);
    assert_eq!(rig.closes(), [Command::Abort { connection: first }]);
}

#[test]
fn a_websocket_through_which_nothing_gets_is_replaced() {
    let mut rig = with_fallback(|_| ());
    rig.connect();
    rig.open();
    assert_eq!(rig.sent(), [r#"[null,"1","phoenix","heartbeat",{}]"#]);
    rig.advance_ms(2000);
    assert_eq!(transports(&rig), [Transport::WebSocket, Transport::LongPoll]);
}

#[test]
fn a_healthy_websocket_is_kept() {
    let mut rig = with_fallback(|_| ());
    rig.connect();
    rig.open();
    rig.receive(PONG);
    rig.closed(Closed::failed());
    rig.advance_ms(10);
    rig.closed(Closed::refused(503));
    rig.advance_ms(50);
    assert_eq!(transports(&rig), [Transport::WebSocket; 3]);
}

#[test]
fn phoenix_js_gives_up_a_healthy_websocket_but_does_not_remember_it() {
    let mut rig = with_fallback(|fallback| fallback.keep_healthy_primary = false);
    rig.connect();
    rig.open();
    rig.receive(PONG);
    rig.closed(Closed::failed());
    rig.advance_ms(10);
    rig.closed(Closed::refused(503));
    assert_eq!(transports(&rig), [Transport::WebSocket, Transport::WebSocket, Transport::LongPoll]);
    rig.open();
    assert!(!rig.events().contains(&SocketEvent::FallbackConfirmed));
    rig.closed(Closed::failed());
    rig.advance_ms(10);
    assert_eq!(transports(&rig).last(), Some(&Transport::LongPoll));
}

#[test]
fn a_memory_starts_with_long_polling() {
    let mut rig = with_fallback(|fallback| fallback.memorized = true);
    rig.connect();
    assert_eq!(transports(&rig), [Transport::LongPoll]);
    assert_eq!(rig.closes(), []);
}

#[test]
fn a_disconnect_ends_the_procedure() {
    let mut rig = with_fallback(|_| ());
    rig.connect();
    rig.socket.disconnect(None, "", rig.now);
    rig.closed(Closed::failed());
    rig.advance_ms(60_000);
    assert_eq!(transports(&rig), [Transport::WebSocket]);
}
