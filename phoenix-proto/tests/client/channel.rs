//! Joining, rejoining, leaving (protocol §20).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use phoenix_proto::client::{
    ChannelError, ChannelState, CloseCause, Closed, Config, JoinError, PushOutcome, RefStyle, SocketEvent,
    Source,
};
use phoenix_proto::{Payload, Ref, V1};

use super::rig::{ENDPOINT, Rig, joined, rig};

#[test]
fn a_channel_joins_once() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
    assert_eq!(rig.socket.join_ref(room), Some(Ref::string("1")));
    assert_eq!(rig.socket.join(room, None, rig.now), Err(JoinError::JoinedBefore));
    rig.socket.leave(room, None, rig.now);
    assert_eq!(rig.socket.join_ref(room), None);
    assert_eq!(rig.socket.join(room, None, rig.now), Err(JoinError::Closed));
}

#[test]
fn phoenix_js_starts_at_three() {
    let mut config = Config::new(ENDPOINT);
    config.ref_style = RefStyle::PhoenixJs { callbacks: 0 };
    let mut rig = Rig::new(config);
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    assert_eq!(rig.sent(), [r#"["3","3","room","phx_join",{}]"#]);
}

#[test]
fn a_join_without_a_connection_waits_for_one() {
    let mut rig = rig();
    let room = rig.channel("room");
    rig.join(room);
    rig.connect();
    rig.advance_ms(9_000);
    rig.open();
    assert_eq!(rig.sent(), [r#"["1","1","room","phx_join",{}]"#]);
    rig.reply("1", "1", "room", "ok");
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
}

#[test]
fn a_join_that_expires_before_the_connection_opens_is_sent_with_its_leave() {
    let mut rig = rig();
    let room = rig.channel("f");
    rig.connect();
    rig.join(room);
    rig.advance_ms(10_000);
    assert!(rig.events().contains(&SocketEvent::JoinTimedOut { channel: room }));
    rig.open();
    assert_eq!(
        rig.sent(),
        [
            r#"["1","1","f","phx_join",{}]"#,
            r#"["1","2","f","phx_leave",{}]"#,
            r#"["3","3","f","phx_join",{}]"#
        ]
    );
}

#[test]
fn an_unanswered_join_is_left_and_tried_again_by_the_table() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.socket.join(room, Some(Duration::from_millis(100)), rig.now).unwrap();
    rig.sent();
    rig.advance_ms(100);
    assert_eq!(rig.sent(), [r#"["1","2","room","phx_leave",{}]"#]);
    rig.reply("1", "1", "room", "ok");
    assert_eq!(rig.socket.channel_state(room), ChannelState::Errored, "the late reply is stale");
    for (attempt, delay) in [1000, 2000, 5000, 10_000, 10_000].into_iter().enumerate() {
        rig.advance_ms(delay - 1);
        assert_eq!(rig.sent(), [""; 0]);
        rig.advance_ms(1);
        let reference = 3 + 2 * attempt;
        assert_eq!(rig.sent(), [format!(r#"["{reference}","{reference}","room","phx_join",{{}}]"#)]);
        rig.advance_ms(100);
        rig.sent();
    }
}

#[test]
fn a_refused_join_is_tried_again_until_it_works() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    rig.events();
    rig.reply("1", "1", "room", "error");
    assert!(matches!(&rig.events()[..], [SocketEvent::JoinRefused { .. }]));
    assert_eq!(rig.socket.channel_state(room), ChannelState::Errored);
    rig.advance_ms(1000);
    rig.reply("2", "2", "room", "denied");
    assert!(matches!(&rig.events()[..], [SocketEvent::JoinRefused { .. }]), "any other status refuses too");
    rig.advance_ms(2000);
    rig.reply("3", "3", "room", "ok");
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
}

#[test]
fn a_policy_ends_refused_joins() {
    let mut config = Config::new(ENDPOINT);
    config.refused_joins = Some(2);
    let mut rig = Rig::new(config);
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    rig.reply("1", "1", "room", "error");
    rig.advance_ms(1000);
    rig.events();
    rig.reply("2", "2", "room", "error");
    let closed = SocketEvent::ChannelClosed { channel: room, cause: CloseCause::Refused };
    assert_eq!(rig.events().last(), Some(&closed));
    rig.sent();
    rig.advance_ms(20_000);
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn a_crashed_channel_rejoins_with_fresh_parameters() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let joins = Arc::new(AtomicU32::new(0));
    let params =
        Source::function(move || serde_json::json!({ "join": joins.fetch_add(1, Ordering::Relaxed) }).into());
    let room = rig.socket.channel("room", params);
    rig.join(room);
    rig.reply("1", "1", "room", "ok");
    rig.events();
    rig.receive(r#"["1","1","room","phx_error",{"reason":"channel_crash"}]"#);
    assert!(matches!(
        &rig.events()[..],
        [SocketEvent::ChannelErrored { cause: ChannelError::Crashed(_), .. }]
    ));
    rig.advance_ms(1000);
    assert_eq!(
        rig.sent(),
        [r#"["1","1","room","phx_join",{"join":0}]"#, r#"["2","2","room","phx_join",{"join":1}]"#]
    );
}

#[test]
fn what_is_errored_is_not_errored_again() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let errors = |rig: &mut Rig| {
        rig.events().iter().filter(|event| matches!(event, SocketEvent::ChannelErrored { .. })).count()
    };
    rig.receive(r#"["1","1","room","phx_error",{"reason":"channel_crash"}]"#);
    assert_eq!(errors(&mut rig), 1);
    rig.closed(Closed::failed());
    assert_eq!((errors(&mut rig), rig.socket.channel_state(room)), (0, ChannelState::Errored));
}

#[test]
fn a_reconnect_rejoins_at_once_in_order() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let other = rig.channel("other");
    rig.join(other);
    rig.reply("2", "2", "other", "ok");
    rig.forget();
    rig.closed(Closed::failed());
    assert_eq!(rig.socket.channel_state(room), ChannelState::Errored);
    rig.advance_ms(10);
    rig.open();
    assert_eq!(rig.sent(), [r#"["3","3","room","phx_join",{}]"#, r#"["4","4","other","phx_join",{}]"#]);
}

#[test]
fn a_close_by_the_server_is_final() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(rig.events(), [SocketEvent::ChannelClosed { channel: room, cause: CloseCause::ByServer }]);
    rig.advance_ms(20_000);
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(rig.socket.topic(room), None);
}

#[test]
fn a_leave_closes_at_once_and_ends_with_the_answer() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let leave = rig.socket.leave(room, None, rig.now).unwrap();
    assert_eq!(rig.sent(), [r#"["1","2","room","phx_leave",{}]"#]);
    assert_eq!(rig.events(), [SocketEvent::ChannelClosed { channel: room, cause: CloseCause::Left }]);
    rig.reply("1", "2", "room", "ok");
    assert!(matches!(
        &rig.events()[..],
        [SocketEvent::PushEnded { push, outcome: PushOutcome::Replied(_) }] if *push == leave
    ));
    rig.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.socket.leave(room, None, rig.now), None);
}

#[test]
fn a_leave_ends_without_an_answer_too() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let leave = rig.socket.leave(room, Some(Duration::from_secs(1)), rig.now).unwrap();
    rig.events();
    rig.advance_ms(1000);
    assert_eq!(rig.events(), [SocketEvent::PushEnded { push: leave, outcome: PushOutcome::TimedOut }]);

    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let leave = rig.socket.leave(room, None, rig.now).unwrap();
    rig.events();
    rig.closed(Closed::failed());
    let outcome = PushOutcome::ConnectionLost;
    assert_eq!(rig.events()[0], SocketEvent::PushEnded { push: leave, outcome });
}

#[test]
fn a_leave_without_a_connection_is_sent_by_the_next_one() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.closed(Closed::failed());
    let leave = rig.socket.leave(room, None, rig.now).unwrap();
    rig.advance_ms(10);
    rig.open();
    assert_eq!(rig.sent(), [r#"["1","2","room","phx_leave",{}]"#]);
    rig.events();
    rig.reply("1", "2", "room", "ok");
    assert!(matches!(
        &rig.events()[..],
        [SocketEvent::PushEnded { push, outcome: PushOutcome::Replied(_) }] if *push == leave
    ));
}

#[test]
fn a_second_channel_on_a_topic_replaces_the_first() {
    let (mut rig, first) = joined(Config::new(ENDPOINT));
    let second = rig.channel("room");
    rig.join(second);
    assert_eq!(rig.sent(), [r#"["1","2","room","phx_leave",{}]"#, r#"["3","3","room","phx_join",{}]"#]);
    assert_eq!(rig.events(), [SocketEvent::ChannelClosed { channel: first, cause: CloseCause::Replaced }]);
    rig.reply("3", "3", "room", "ok");
    rig.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(rig.socket.channel_state(second), ChannelState::Joined);
    assert_eq!(rig.socket.counters().stale, 1);
}

#[test]
fn the_end_of_an_earlier_join_does_not_end_this_one_in_v1_either() {
    let mut config = Config::new(ENDPOINT);
    config.serializer = Arc::new(V1);
    let mut rig = Rig::new(config);
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    let ok = r#"{"topic":"room","event":"phx_reply","ref":"1","payload":{"status":"ok","response":{}}}"#;
    rig.receive(ok);
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
    rig.receive(r#"{"topic":"room","event":"phx_close","ref":"0","payload":{}}"#);
    assert_eq!(rig.socket.channel_state(room), ChannelState::Joined);
    rig.receive(r#"{"topic":"room","event":"phx_close","ref":"1","payload":{}}"#);
    assert_eq!(rig.socket.channel_state(room), ChannelState::Closed);
}

#[test]
fn messages_are_for_the_present_join_or_for_any() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    rig.receive(r#"["0",null,"room","stale",{}]"#);
    rig.receive(r#"["1",null,"room","own",{}]"#);
    rig.receive(r#"[null,null,"room","broadcast",{}]"#);
    rig.receive(r#"[null,null,"elsewhere","broadcast",{}]"#);
    let names: Vec<_> = rig
        .events()
        .into_iter()
        .map(|event| match event {
            SocketEvent::Message { channel, message, .. } if channel == room => {
                message.event.as_str().to_owned()
            }
            other => panic!("a message expected: {other:?}"),
        })
        .collect();
    assert_eq!(names, ["own", "broadcast"]);
    assert_eq!((rig.socket.counters().stale, rig.socket.counters().unmatched), (1, 1));
}

#[test]
fn an_unencodable_join_is_an_error_of_the_channel() {
    let mut config = Config::new(ENDPOINT);
    config.serializer = Arc::new(V1);
    let mut rig = Rig::new(config);
    let room = rig.socket.channel("room", Payload::from(bytes::Bytes::new()));
    rig.join(room);
    assert!(matches!(
        &rig.events()[..],
        [SocketEvent::ChannelErrored { cause: ChannelError::Unencodable(_), .. }]
    ));
}

#[test]
fn the_send_buffer_has_a_limit() {
    let mut config = Config::new(ENDPOINT);
    config.send_buffer = 2;
    let mut rig = Rig::new(config);
    for topic in ["a", "b", "c"] {
        let channel = rig.channel(topic);
        rig.join(channel);
    }
    assert_eq!(rig.socket.counters().dropped_sends, 1);
    rig.connect();
    rig.open();
    assert_eq!(rig.sent(), [r#"["2","2","b","phx_join",{}]"#, r#"["3","3","c","phx_join",{}]"#]);
}
