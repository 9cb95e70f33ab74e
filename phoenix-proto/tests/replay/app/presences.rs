//! Presences, tracked by the machine that the server tracks them with.

use std::time::Instant;

use phoenix_proto::Payload;
use phoenix_proto::presence::{Owner, PhxRef, TopicList, TrackError, Tracker, TrackerConfig, TrackerStart};
use serde_json::{Map, Value};

use super::{App, Pid};

pub(super) struct Presences(Tracker);

impl Presences {
    pub(super) fn new(now: Instant) -> Self {
        let unix_nanos = 1_795_459_584_000_000_000;
        let start = TrackerStart { node: "nonode@nohost".into(), shard: 0, seed: 7, now, unix_nanos };
        Self(Tracker::new(TrackerConfig::default(), &start).expect("the periods fit"))
    }
}

impl App<'_> {
    pub(crate) fn track(
        &mut self,
        pid: Pid,
        key: &str,
        meta: Map<String, Value>,
    ) -> Result<PhxRef, TrackError> {
        let (now, topic) = (self.instant(), self.processes[&pid].topic.clone());
        self.presences.0.track(Owner(pid), &topic, key, meta, now)
    }

    pub(crate) fn update(&mut self, pid: Pid, key: &str, meta: Map<String, Value>) -> PhxRef {
        let (now, topic) = (self.instant(), self.processes[&pid].topic.clone());
        self.presences.0.update(Owner(pid), &topic, key, meta, now).expect("the process tracks the key")
    }

    pub(crate) fn untrack(&mut self, pid: Pid, key: &str) {
        let topic = self.processes[&pid].topic.clone();
        self.presences.0.untrack(Owner(pid), &topic, key);
    }

    /// Who is on the topic of a process. A diff that is part of it goes out before.
    pub(crate) fn presences(&mut self, pid: Pid) -> TopicList {
        self.publish_presences();
        self.presences.0.list(&self.processes[&pid].topic)
    }

    pub(super) fn untrack_all(&mut self, pid: Pid) {
        self.presences.0.untrack_all(Owner(pid));
        self.publish_presences();
    }

    pub(super) fn publish_presences(&mut self) {
        while let Some(diff) = self.presences.0.poll_diff() {
            self.broadcast(None, &diff.topic, "presence_diff", Payload::from(&diff))
                .expect("an object is encodable");
        }
    }
}
