//! Any frames of a client and any doings of channels, in any order.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use phoenix_proto::server::{ChannelId, CloseReason, Command, Config, Connection};
use phoenix_proto::{Frame, Incoming, Opcode, Payload, Routes, Serializers};
use serde_json::Value;

#[derive(Debug, Arbitrary)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    /// A well-formed message for one of a few topics.
    Message {
        join_ref: Option<u8>,
        reference: Option<u8>,
        topic: u8,
        event: Event,
    },
    Channel(u8, Act),
    Wait(u16),
    Drain,
    Close,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Event {
    Join,
    Leave,
    Echo,
    Heartbeat,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Act {
    Accept,
    Refuse,
    Crash,
    Send,
    Close,
    End,
}

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (version_1, steps) = input;
    let vsn = if version_1 { "1.0.0" } else { "2.0.0" };
    let serializer = Serializers::default().negotiate(Some(vsn)).expect("both versions are served");
    let mut routes = Routes::default();
    routes.add("room:*".parse().expect("a valid pattern"));
    let mut config = Config::default();
    config.max_channels = 3;
    let mut now = Instant::now();
    let mut connection = Connection::new(config, Arc::new(routes), serializer, now);
    let mut channels = Vec::new();
    let mut closed = false;
    for step in steps {
        match step {
            Step::Text(text) => connection.handle_incoming(Incoming::Text(text.into()), now),
            Step::Binary(data) => connection.handle_incoming(Incoming::Binary(data.into()), now),
            Step::Message { join_ref, reference, topic, event } => {
                let text = message(version_1, join_ref, reference, topic, event);
                connection.handle_incoming(Incoming::Text(text.into()), now);
            }
            Step::Channel(number, act) => {
                closed |= drain(&mut connection, &mut channels, closed);
                if let Some(&channel) = channels.get(usize::from(number) % channels.len().max(1)) {
                    perform(&mut connection, channel, act, now);
                }
            }
            Step::Wait(millis) => {
                now += Duration::from_millis(millis.into());
                connection.handle_timeout(now);
            }
            Step::Drain => closed |= drain(&mut connection, &mut channels, closed),
            Step::Close => connection.close(CloseReason::Draining),
        }
        assert!(connection.topics() <= 3);
    }
    drain(&mut connection, &mut channels, closed);
});

fn message(version_1: bool, join_ref: Option<u8>, reference: Option<u8>, topic: u8, event: Event) -> String {
    let (event, topic) = match event {
        Event::Join => ("phx_join", format!("room:{}", topic % 5)),
        Event::Leave => ("phx_leave", format!("room:{}", topic % 5)),
        Event::Echo => ("echo", format!("room:{}", topic % 5)),
        Event::Heartbeat => ("heartbeat", "phoenix".to_owned()),
    };
    if version_1 {
        serde_json::json!({"join_ref": join_ref, "ref": reference, "topic": topic, "event": event, "payload": {}})
    } else {
        serde_json::json!([join_ref, reference, topic, event, {}])
    }
    .to_string()
}

fn perform(connection: &mut Connection, channel: ChannelId, act: Act, now: Instant) {
    match act {
        Act::Accept => connection.accept(channel, Payload::EMPTY, now),
        Act::Refuse => connection.refuse(channel, Payload::EMPTY, now),
        Act::Crash => connection.join_crashed(channel, now),
        Act::Send => connection.send(channel, Frame::text(2, |out| out.extend_from_slice(b"{}"))),
        Act::Close => connection.close_channel(channel),
        Act::End => connection.ended(channel, now),
    }
}

/// Takes everything; true once the close was among it.
fn drain(connection: &mut Connection, channels: &mut Vec<ChannelId>, closed: bool) -> bool {
    let mut closes = closed;
    while let Some(command) = connection.poll_command() {
        assert!(!closes, "nothing comes after the close");
        match command {
            Command::Join(join) => channels.push(join.channel),
            Command::Close(_) => closes = true,
            Command::Message { channel, .. }
            | Command::Leave { channel, .. }
            | Command::Kill { channel }
            | Command::Abandon { channel } => assert!(channels.contains(&channel)),
        }
    }
    while let Some(frame) = connection.poll_transmit() {
        assert_eq!(frame.opcode(), Opcode::Text);
        // serde_json gives up on values nested deeper than 128 levels, which a topic or ref may be.
        if frame.len() < 100 {
            serde_json::from_slice::<Value>(&frame.payload()).expect("frames hold valid JSON");
        }
    }
    assert!(std::iter::from_fn(|| connection.poll_event()).count() <= 64);
    closes
}
