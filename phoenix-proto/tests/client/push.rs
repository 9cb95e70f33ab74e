//! Pushes and their outcomes (protocol §20.5, §21).

use std::time::Duration;

use phoenix_proto::client::{
    ChannelId, Closed, Config, Overflow, PushError, PushId, PushOutcome, SocketEvent,
};
use phoenix_proto::{EncodeError, Payload, Status};

use super::rig::{ENDPOINT, Rig, joined, rig};

impl Rig {
    fn push(&mut self, channel: ChannelId, event: &str) -> PushId {
        self.socket.push(channel, event, Payload::EMPTY, None, self.now).unwrap()
    }

    fn outcomes(&mut self) -> Vec<(PushId, PushOutcome)> {
        let ended = |event| match event {
            SocketEvent::PushEnded { push, outcome } => Some((push, outcome)),
            _ => None,
        };
        self.events().into_iter().filter_map(ended).collect()
    }
}

#[test]
fn only_the_first_reply_counts() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let push = rig.push(room, "say");
    assert_eq!(rig.sent(), [r#"["1","2","room","say",{}]"#]);
    rig.reply("1", "2", "room", "custom");
    rig.reply("1", "2", "room", "ok");
    match &rig.outcomes()[..] {
        [(id, PushOutcome::Replied(response))] if *id == push => {
            assert_eq!(response.status, Status::new("custom"));
        }
        other => panic!("one reply expected: {other:?}"),
    }
    rig.advance_ms(20_000);
    assert_eq!(rig.outcomes(), []);
    assert_eq!(rig.socket.counters().unmatched, 1);
}

#[test]
fn a_late_reply_is_ignored() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let push = rig.push(room, "say");
    rig.advance_ms(10_000);
    rig.reply("1", "2", "room", "ok");
    assert_eq!(rig.outcomes(), [(push, PushOutcome::TimedOut)]);
}

#[test]
fn pushes_wait_for_the_join_and_get_a_new_reference_and_time() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    let push = rig.push(room, "first");
    rig.push(room, "second");
    rig.sent();
    rig.advance_ms(9_000);
    rig.reply("1", "1", "room", "ok");
    assert_eq!(rig.sent(), [r#"["1","2","room","first",{}]"#, r#"["1","3","room","second",{}]"#]);
    rig.advance_ms(9_000);
    rig.reply("1", "2", "room", "ok");
    assert!(matches!(&rig.outcomes()[..], [(id, PushOutcome::Replied(_))] if *id == push));
}

#[test]
fn a_push_that_expires_in_the_buffer_is_not_sent() {
    let mut rig = rig();
    let room = rig.channel("room");
    rig.join(room);
    let push = rig.socket.push(room, "say", Payload::EMPTY, Some(Duration::from_secs(1)), rig.now).unwrap();
    rig.advance_ms(1000);
    assert_eq!(rig.outcomes(), [(push, PushOutcome::TimedOut)]);
    rig.connect();
    rig.open();
    rig.sent();
    rig.reply("1", "1", "room", "ok");
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn a_refused_join_keeps_what_waits() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    rig.push(room, "say");
    rig.sent();
    rig.reply("1", "1", "room", "error");
    assert_eq!(rig.sent(), [""; 0]);
    rig.advance_ms(1000);
    assert_eq!(rig.sent(), [r#"["2","2","room","phx_join",{}]"#]);
    rig.reply("2", "2", "room", "ok");
    assert_eq!(rig.sent(), [r#"["2","3","room","say",{}]"#]);
}

#[test]
fn a_push_without_a_time_of_its_own_expires_with_the_join() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.socket.join(room, Some(Duration::from_millis(100)), rig.now).unwrap();
    let expired = rig.push(room, "expires");
    let longer = Some(Duration::from_secs(2));
    rig.socket.push(room, "stays", Payload::EMPTY, longer, rig.now).unwrap();
    rig.sent();
    rig.advance_ms(100);
    assert_eq!(rig.sent(), [r#"["1","2","room","phx_leave",{}]"#]);
    assert_eq!(rig.outcomes(), [(expired, PushOutcome::TimedOut)]);
    rig.advance_ms(1000);
    assert_eq!(rig.sent(), [r#"["3","3","room","phx_join",{}]"#]);
    rig.reply("3", "3", "room", "ok");
    assert_eq!(rig.sent(), [r#"["3","4","room","stays",{}]"#]);
}

#[test]
fn waiting_pushes_survive_a_reconnect_and_sent_ones_do_not() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let sent = rig.push(room, "sent");
    rig.sent();
    rig.closed(Closed::failed());
    assert_eq!(rig.outcomes(), [(sent, PushOutcome::ConnectionLost)]);
    let waiting = rig.push(room, "waiting");
    rig.advance_ms(10);
    rig.open();
    let join_ref = rig.join_ref();
    rig.sent();
    rig.reply(&join_ref, &join_ref, "room", "ok");
    assert_eq!(rig.sent(), [r#"["3","4","room","waiting",{}]"#]);
    rig.reply("3", "4", "room", "ok");
    assert!(matches!(&rig.outcomes()[..], [(id, PushOutcome::Replied(_))] if *id == waiting));
}

#[test]
fn a_crash_ends_what_was_sent() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let push = rig.push(room, "crash");
    rig.receive(r#"["1","1","room","phx_error",{}]"#);
    assert_eq!(rig.outcomes(), [(push, PushOutcome::ChannelErrored)]);
}

#[test]
fn the_end_of_the_channel_ends_everything() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let sent = rig.push(room, "sent");
    rig.receive(r#"["1","1","room","phx_close",{}]"#);
    assert_eq!(rig.outcomes(), [(sent, PushOutcome::ChannelClosed)]);
    assert_eq!(rig.socket.push(room, "say", Payload::EMPTY, None, rig.now), Err(PushError::Closed));

    let mut offline = self::rig();
    let room = offline.channel("room");
    offline.join(room);
    let waiting = offline.push(room, "waiting");
    offline.socket.leave(room, None, offline.now);
    assert_eq!(offline.outcomes(), [(waiting, PushOutcome::ChannelClosed)]);
}

#[test]
fn what_is_refused_at_once() {
    let (mut rig, room) = joined(Config::new(ENDPOINT));
    let fresh = rig.channel("other");
    let mut push = |channel, event: &str, payload| rig.socket.push(channel, event, payload, None, rig.now);
    assert_eq!(push(fresh, "say", Payload::EMPTY), Err(PushError::NotJoined));
    assert_eq!(push(room, "phx_leave", Payload::EMPTY), Err(PushError::ReservedEvent("phx_leave".into())));
    let long = "e".repeat(256);
    let error = EncodeError::FieldTooLong { field: "event", len: 256 };
    assert_eq!(push(room, &long, bytes::Bytes::new().into()), Err(PushError::Encode(error)));
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn an_unencodable_push_that_waited_ends_alone() {
    let mut rig = rig();
    rig.connect();
    rig.open();
    let room = rig.channel("room");
    rig.join(room);
    let binary = Payload::from(bytes::Bytes::new());
    let push = rig.socket.push(room, "e".repeat(256), binary, None, rig.now).unwrap();
    rig.push(room, "fine");
    rig.sent();
    rig.reply("1", "1", "room", "ok");
    assert!(matches!(&rig.outcomes()[..], [(id, PushOutcome::Unencodable(_))] if *id == push));
    assert_eq!(rig.sent(), [r#"["1","3","room","fine",{}]"#]);
}

#[test]
fn a_full_buffer_refuses_or_makes_room() {
    let mut config = Config::new(ENDPOINT);
    config.push_buffer = 1;
    let mut rig = Rig::new(config.clone());
    let room = rig.channel("room");
    rig.join(room);
    rig.push(room, "first");
    let refused = rig.socket.push(room, "second", Payload::EMPTY, None, rig.now);
    assert_eq!(refused, Err(PushError::Full(1)));

    config.push_overflow = Overflow::DropOldest;
    let mut rig = Rig::new(config);
    let room = rig.channel("room");
    rig.join(room);
    let first = rig.push(room, "first");
    rig.push(room, "second");
    assert_eq!(rig.outcomes(), [(first, PushOutcome::Discarded)]);
    assert_eq!(rig.socket.counters().discarded_pushes, 1);
}

#[test]
fn a_transport_that_lags_refuses_pushes() {
    let mut config = Config::new(ENDPOINT);
    config.send_buffer = 1;
    let (mut rig, room) = joined(config);
    let mut push = || rig.socket.push(room, "say", Payload::EMPTY, None, rig.now);
    assert!(push().is_ok());
    assert_eq!(push(), Err(PushError::Full(1)));
}
