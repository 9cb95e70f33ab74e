//! A recording as a script: what a client does, and what the server must have said before it does it.
//!
//! The lines of a recording stand in the order in which a proxy saw things, and a cause is seen before its effect. So
//! everything the server says is awaited before the client's next step, with four corrections:
//!
//! * `ctl` and `direct_http` lines were written when the answer had arrived, after their effects on the wire: they are
//!   moved to before these, but not to before a note or another call: a scenario does one thing after the other.
//! * `http` traffic is a browser that fetches a page: it is left out, unless what later requests need is handed out on
//!   the same connection.
//! * A connection whose client was killed has no end on the wire; it is cut where the client library reported that
//!   (`app`: transport closed with 1006).
//! * Bytes of a frame that was never completed are only known from the end of the connection. They are sent a
//!   quarter of the way between what went before on the connection and the server's reaction.

use std::collections::{BTreeMap, BTreeSet};

use crate::recording::{
    Conn, Ctl, DirectHttp, Direction, Event, Frame, Item, PartialFrame, Recording, Transport,
};
use crate::replay::hands_out;

/// A control call's effects were recorded at most this long before the line of the call, in milliseconds.
const CTL_DURATION: f64 = 15.0;

/// Frames recorded within this time of each other came in one segment, in milliseconds.
const ONE_SEGMENT: f64 = 0.15;

#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) conns: BTreeMap<Conn, ConnScript>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Milliseconds since the start of the recording.
    pub(crate) t: f64,
    /// Line in the file, counted from 1.
    pub(crate) line: usize,
    pub(crate) act: Act,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Send {
        conn: Conn,
        parts: Vec<Part>,
    },
    /// The server says the `index`th thing on this connection.
    Expect {
        conn: Conn,
        index: usize,
    },
    Ctl(Ctl),
    Direct(DirectHttp),
    /// The server is told to stop by its operating system.
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Event(Event),
    PartialFrame(PartialFrame),
    /// The start of a frame header.
    PartialHeader(usize),
    /// The client is gone without a word.
    Cut,
}

#[derive(Debug, Default)]
pub(crate) struct ConnScript {
    pub(crate) client: String,
    pub(crate) expected: Vec<Expected>,
    /// Nobody listens any more.
    pub(crate) refused: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) line: usize,
    pub(crate) event: Event,
    /// Milliseconds since the event before on the same connection.
    pub(crate) since: f64,
}

impl Script {
    pub(crate) fn new(recording: &Recording) -> Self {
        let mut script = Self::default();
        let mut last_seen: BTreeMap<Conn, f64> = BTreeMap::new();
        // How many steps stand before the last note or call.
        let mut settled = 0;
        let needed = handing_out(recording);
        for (index, entry) in recording.entries.iter().enumerate() {
            let (t, line) = (entry.t, index + 1);
            match &entry.item {
                Item::Wire(wire) if wire.transport != Transport::Http || needed.contains(&wire.conn) => {
                    let since = t - last_seen.insert(wire.conn, t).unwrap_or(t);
                    script.add_wire(t, line, wire.conn, &wire.client, wire.dir, &wire.event, since);
                }
                Item::Ctl(ctl) => {
                    script.insert_before_effects(settled, t, line, Act::Ctl(ctl.clone()));
                    settled = script.steps.len();
                }
                Item::DirectHttp(direct) => {
                    script.insert_before_effects(settled, t, line, Act::Direct(direct.clone()));
                    settled = script.steps.len();
                }
                Item::Note(text) => {
                    settled = script.steps.len();
                    if text == "SIGTERM" {
                        script.push(t, line, Act::Stop);
                    }
                }
                Item::App(app) if app.event == "log transport: close" => {
                    let cut = app.data.as_ref().is_some_and(|data| data["code"] == 1006);
                    if let Some(conn) = cut.then(|| never_ended(recording, &app.client, index)).flatten() {
                        script.push(t, line, Act::Send { conn, parts: vec![Part::Cut] });
                    }
                }
                Item::Wire(_) | Item::Meta(_) | Item::App(_) | Item::ServerLog(_) | Item::Other(_) => {}
            }
        }
        script
    }

    fn push(&mut self, t: f64, line: usize, act: Act) {
        self.steps.push(Step { t, line, act });
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one line")]
    fn add_wire(
        &mut self,
        t: f64,
        line: usize,
        conn: Conn,
        client: &str,
        dir: Direction,
        event: &Event,
        since: f64,
    ) {
        let track = self.conns.entry(conn).or_default();
        client.clone_into(&mut track.client);
        match (dir, event) {
            (Direction::ServerToClient, Event::Error(error)) => track.refused |= error == "ECONNREFUSED",
            (Direction::ServerToClient, _) => {
                let index = track.expected.len();
                track.expected.push(Expected { line, event: event.clone(), since });
                self.push(t, line, Act::Expect { conn, index });
            }
            (Direction::ClientToServer, Event::Error(_)) => {}
            (Direction::ClientToServer, Event::Fin(fin)) => {
                if let Some(partial) = fin.partial_frame {
                    self.insert_partial(conn, Part::PartialFrame(partial), t, line);
                } else if let Some(length) = fin.unparsed_bytes {
                    self.insert_partial(conn, Part::PartialHeader(length), t, line);
                }
                self.push(t, line, Act::Send { conn, parts: vec![Part::Event(event.clone())] });
            }
            (Direction::ClientToServer, _) => {
                if self.extend_segment(t, conn, event) {
                    return;
                }
                self.push(t, line, Act::Send { conn, parts: vec![Part::Event(event.clone())] });
            }
        }
    }

    /// Adds a frame to the step before if both came in one segment.
    fn extend_segment(&mut self, now: f64, on: Conn, event: &Event) -> bool {
        let Some(Step { t, act: Act::Send { conn, parts }, .. }) = self.steps.last_mut() else {
            return false;
        };
        let both_frames =
            matches!(parts.last(), Some(Part::Event(Event::Frame(_)))) && matches!(event, Event::Frame(_));
        let together = both_frames && *conn == on && now - *t <= ONE_SEGMENT;
        if together {
            parts.push(Part::Event(event.clone()));
        }
        together
    }

    /// Inserts a call before those of its effects that were seen before its answer; the `settled` first steps are none.
    fn insert_before_effects(&mut self, settled: usize, t: f64, line: usize, act: Act) {
        let recent = self.steps[settled.min(self.steps.len())..].iter().rev();
        let effects = recent.take_while(|step| t - step.t <= CTL_DURATION && self.is_effect(step));
        let at = self.steps.len() - effects.count();
        let t = self.steps.get(at).map_or(t, |step| step.t);
        self.steps.insert(at, Step { t, line, act });
    }

    /// Whether a step can be the effect of a call: the server speaks, answers a waiting poll, or a client answers its
    /// goodbye.
    fn is_effect(&self, step: &Step) -> bool {
        match &step.act {
            Act::Expect { conn, index } => {
                let expected = &self.conns[conn].expected[*index];
                !matches!(expected.event, Event::Response(_)) || expected.since > CTL_DURATION
            }
            Act::Send { parts, .. } => parts.iter().all(|part| match part {
                Part::Event(Event::Frame(frame)) => frame.opcode == Frame::CLOSE,
                Part::Event(Event::Fin(_)) => true,
                Part::Event(_) | Part::PartialFrame(_) | Part::PartialHeader(_) | Part::Cut => false,
            }),
            Act::Ctl(_) | Act::Direct(_) | Act::Stop => false,
        }
    }

    fn insert_partial(&mut self, on: Conn, part: Part, now: f64, line: usize) {
        let mut own = self.steps.iter().rev().filter(|step| match &step.act {
            Act::Send { conn, .. } | Act::Expect { conn, .. } => *conn == on,
            Act::Ctl(_) | Act::Direct(_) | Act::Stop => false,
        });
        let expected = &self.conns[&on].expected;
        let mut reaction = now;
        let before = own.find(|step| match step.act {
            Act::Expect { index, .. } if is_goodbye(&expected[index].event) => {
                reaction = step.t;
                false
            }
            _ => true,
        });
        let t = before.map_or(reaction, |step| step.t + (reaction - step.t) / 4.0);
        let at = self.steps.partition_point(|step| step.t <= t);
        let answer = self.steps[at..].iter().find_map(|step| match step.act {
            Act::Expect { conn, index } if conn == on => Some((index, step.t)),
            _ => None,
        });
        self.steps.insert(at, Step { t, line, act: Act::Send { conn: on, parts: vec![part] } });
        if let (Some((index, answered)), Some(lane)) = (answer, self.conns.get_mut(&on)) {
            lane.expected[index].since = answered - t;
        }
    }
}

/// The connections on which the server hands out what later requests need, long-poll tokens aside.
fn handing_out(recording: &Recording) -> BTreeSet<Conn> {
    let wires = recording.entries.iter().filter_map(|entry| match &entry.item {
        Item::Wire(wire) => Some(wire),
        _ => None,
    });
    let http = wires.filter(|wire| wire.transport == Transport::Http);
    let handing = http.filter(|wire| matches!(&wire.event, Event::Response(it) if hands_out(it)));
    handing.map(|wire| wire.conn).collect()
}

fn is_goodbye(event: &Event) -> bool {
    match event {
        Event::Frame(frame) => frame.opcode == Frame::CLOSE,
        Event::Fin(_) | Event::Rst => true,
        Event::Request(_) | Event::Response(_) | Event::Error(_) => false,
    }
}

/// The last connection of a client before a line that has no end anywhere in the recording.
fn never_ended(recording: &Recording, client: &str, before: usize) -> Option<Conn> {
    let wires = |entries: &'_ [crate::recording::Entry]| -> Vec<(Conn, bool)> {
        entries
            .iter()
            .filter_map(|entry| match &entry.item {
                Item::Wire(wire) if wire.client == client => {
                    let end = matches!(wire.event, Event::Fin(_) | Event::Rst | Event::Error(_));
                    Some((wire.conn, end))
                }
                _ => None,
            })
            .collect()
    };
    let (conn, _) = *wires(&recording.entries[..before]).last()?;
    let ended = wires(&recording.entries).iter().any(|(other, end)| *other == conn && *end);
    (!ended).then_some(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(lines: &[&str]) -> Script {
        Script::new(&Recording::parse("test", lines.iter().copied()).unwrap())
    }

    fn frame(t: f64, conn: u32, dir: &str, data: &str) -> String {
        format!(
            r#"{{"t":{t},"client":"A","conn":{conn},"dir":"{dir}","transport":"websocket","kind":"text","data":"{data}"}}"#
        )
    }

    #[test]
    fn a_control_call_comes_before_its_effects() {
        let ctl = r#"{"t":103,"kind":"ctl","action":"broadcast","request":{}}"#;
        let lines = [
            frame(50.0, 1, "s2c", "old"),
            frame(102.0, 1, "s2c", "x"),
            frame(102.5, 2, "s2c", "x"),
            ctl.to_owned(),
        ];
        let script = script(&lines.each_ref().map(String::as_str));
        assert!(matches!(script.steps[1].act, Act::Ctl(_)));
    }

    #[test]
    fn a_control_call_comes_after_the_note_that_announces_it() {
        let note = r#"{"t":101,"kind":"note","text":"next"}"#;
        let ctl = r#"{"t":103,"kind":"ctl","action":"broadcast","request":{}}"#;
        let lines =
            [frame(100.0, 1, "s2c", "x"), note.to_owned(), ctl.to_owned(), frame(104.0, 1, "s2c", "y")];
        let script = script(&lines.each_ref().map(String::as_str));
        assert!(matches!(script.steps[1].act, Act::Ctl(_)));
    }

    #[test]
    fn frames_of_one_segment_stay_together() {
        let lines = [frame(1.0, 1, "c2s", "a"), frame(1.1, 1, "c2s", "b"), frame(2.0, 1, "c2s", "c")];
        let script = script(&lines.each_ref().map(String::as_str));
        assert_eq!(script.steps.len(), 2);
    }

    #[test]
    fn an_incomplete_frame_is_sent_before_the_reaction_to_it() {
        let close = r#"{"t":20,"client":"A","conn":1,"dir":"s2c","transport":"websocket","kind":"close","code":1009,"reason":""}"#;
        let fin = r#"{"t":21,"client":"A","conn":1,"dir":"c2s","transport":"websocket","kind":"tcp_fin","partial_frame":{"opcode":1,"declared_length":5000,"have":0}}"#;
        let script = script(&[&frame(10.0, 1, "s2c", "a"), close, fin]);
        assert!(
            matches!(&script.steps[1], Step { t: 12.5, act: Act::Send { parts, .. }, .. } if matches!(parts[0], Part::PartialFrame(_)))
        );
    }
}
