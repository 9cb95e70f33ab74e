//! The machines alone.

use std::hint::black_box;
use std::time::Instant;

use phoenix_proto::presence::{Owner, Tracker, TrackerConfig, TrackerStart};
use phoenix_proto::{Incoming, Payload, Ref, Reply, Serializer, Status, Text, V2};
use serde_json::{Map, json};

use super::server::{TOPIC, push};
use crate::load::JOIN_REF;

/// What a client sent, decoded.
pub(super) struct Decode(String);

impl Decode {
    pub(super) fn new(size: usize) -> Self {
        Self(push("echo", size, false))
    }

    pub(super) fn nested(size: usize) -> Self {
        Self(push("echo", size, true))
    }

    /// The copy out of the read buffer included.
    pub(super) fn once(&mut self) {
        let text = Text::from(&*self.0);
        black_box(V2.decode(Incoming::Text(text)).expect("a push is a message"));
    }
}

/// A reply for a client, encoded.
pub(super) struct Encode(Reply);

impl Encode {
    pub(super) fn new(size: usize) -> Self {
        let payload =
            V2.decode(Incoming::Text(push("echo", size, false).into())).expect("a push is a message").payload;
        Self(Reply {
            join_ref: Some(Ref::string(&JOIN_REF.to_string())),
            reference: Some(Ref::string("17")),
            topic: TOPIC.into(),
            status: Status::OK,
            payload,
        })
    }

    pub(super) fn once(&mut self) {
        black_box(V2.encode_reply(&self.0).expect("a reply can be encoded"));
    }
}

/// Who is in a room.
pub(super) struct Presences {
    tracker: Tracker,
    now: Instant,
}

impl Presences {
    pub(super) fn new(count: u64) -> Self {
        let now = Instant::now();
        let start = TrackerStart { node: "node".into(), shard: 0, seed: 1, now, unix_nanos: 1 << 60 };
        let mut tracker = Tracker::new(TrackerConfig::default(), &start).expect("the defaults are valid");
        for number in 1..=count {
            let key = number.to_string();
            tracker.track(Owner(number), TOPIC, &key, meta(), now).expect("nobody is there yet");
            _ = tracker.poll_diff();
        }
        Self { tracker, now }
    }

    pub(super) fn once(&mut self) {
        self.tracker.track(Owner(0), TOPIC, "0", meta(), self.now).expect("it is not there yet");
        self.tracker.untrack(Owner(0), TOPIC, "0");
        while let Some(diff) = self.tracker.poll_diff() {
            black_box(Payload::json(&diff).expect("a diff can be encoded"));
        }
    }
}

fn meta() -> Map<String, serde_json::Value> {
    Map::from_iter([("online_at".to_owned(), json!(1_795_459_584))])
}
