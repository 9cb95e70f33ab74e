//! What a server did, compared with what the recording has.
//!
//! # Order
//!
//! On one connection frames are compared per *chain*: the frames of one topic, the pongs, the close frame. Within a
//! chain the order is exact; between topics it is free, because their channels run side by side and no order among them
//! is promised. Three rules tie chains together or loosen one:
//!
//! * replies of the connection itself (heartbeats, topics nobody joined) come in the recorded order, whatever their
//!   topic;
//! * nothing comes after the close frame, nothing at all after the end;
//! * next to each other on one topic, `presence_state` and a `presence_diff` may change places: a joining client's own
//!   diff races its state.
//!
//! Messages of a long-poll session are compared the same way, whichever poll they came in. Responses are compared one by
//! one. Between connections no order is compared; what the replay waited for is ordered by that.

mod align;
mod items;
mod normalise;
mod responses;

use std::collections::{BTreeMap, BTreeSet};

use self::align::{Bindings, compare_frames, order_differences};
use self::items::{Content, Item, polled};
use self::normalise::Normaliser;
use crate::deviations::Deviations;
use crate::difference::{Difference, Kind};
use crate::recording::{Conn, Event, Recording};
use crate::replay::{Observed, messages, request_token};
use crate::script::{Act, Expected, Part, Script};

/// A recorded wait at least this long, in milliseconds, is a timer of the server, whose time is compared.
const TIMER: f64 = 400.0;

/// How far the order of frames on a connection is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FrameOrder {
    /// Per chain, as described above.
    #[default]
    PerTopic,
    /// That of all frames.
    Exact,
}

/// Everything that differs, in the order of the recording.
pub(crate) fn compare(
    recording: &Recording,
    script: &Script,
    observed: &Observed,
    order: FrameOrder,
) -> Vec<Difference> {
    let mut comparison = Comparison::new(recording, script, observed, order);
    for conn in script.conns.keys() {
        comparison.connection(*conn);
    }
    comparison.sessions();
    comparison.calls();
    comparison.identities();
    comparison.differences.sort_by_key(|difference| difference.line.unwrap_or(usize::MAX));
    comparison.differences
}

/// The expected frames and ends, by connection and index, that are known to be missing.
pub(crate) fn excused(
    recording: &Recording,
    script: &Script,
    deviations: &Deviations,
) -> BTreeMap<Conn, BTreeSet<usize>> {
    let side = Normaliser::default();
    let place = Place { name: &recording.name, client: None, conn: None };
    let is_excused = |index: usize, expected: &Expected| {
        let item = Item::new(index, expected.line, expected.since, &expected.event, &side);
        let shown = item.map(|item| match item.content {
            // Every request has a response unless its connection is gone, which ends the wait by itself.
            Content::Response(_) => String::new(),
            Content::Frame(frame) => frame.shown,
            Content::End => END.to_owned(),
        });
        shown.filter(|shown| !shown.is_empty()).is_some_and(|shown| {
            deviations.excuses(&place.difference(expected.line, Kind::Missing, &shown, ""))
        })
    };
    let lanes = script.conns.iter().map(|(conn, lane)| {
        let expected = lane.expected.iter().enumerate();
        (
            *conn,
            expected
                .filter(|(index, expected)| is_excused(*index, expected))
                .map(|(index, _)| index)
                .collect(),
        )
    });
    lanes.collect()
}

/// How the end of a connection is told.
const END: &str = "the server ends the connection";

struct Comparison<'a> {
    name: &'a str,
    script: &'a Script,
    observed: &'a Observed,
    recorded: Normaliser,
    actual: Normaliser,
    order: FrameOrder,
    bindings: Bindings,
    differences: Vec<Difference>,
}

/// The messages of a long-poll session, each with what tells its place in time.
#[derive(Default)]
struct Session {
    recorded: Vec<(usize, String)>,
    actual: Vec<(usize, String)>,
}

/// Where differences are found.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    client: Option<&'a str>,
    conn: Option<Conn>,
}

impl Place<'_> {
    fn difference(&self, line: usize, kind: Kind, recorded: &str, actual: &str) -> Difference {
        Difference {
            recording: self.name.to_owned(),
            client: self.client.map(str::to_owned),
            conn: self.conn,
            line: (line > 0).then_some(line),
            kind,
            recorded: recorded.to_owned(),
            actual: actual.to_owned(),
            allowed_by: None,
        }
    }
}

impl<'a> Comparison<'a> {
    fn new(recording: &'a Recording, script: &'a Script, observed: &'a Observed, order: FrameOrder) -> Self {
        let mut recorded = Normaliser::new(observed.variables.authorities().map(|(recorded, _)| recorded));
        let mut actual = Normaliser::new(observed.variables.authorities().map(|(_, actual)| actual));
        for expected in script.conns.values().flat_map(|lane| &lane.expected) {
            learn(&expected.event, None, &mut recorded);
        }
        for seen in observed.conns.values().flat_map(|lane| &lane.seen) {
            learn(&seen.event, seen.messages.as_deref(), &mut actual);
        }
        Self {
            name: &recording.name,
            script,
            observed,
            recorded,
            actual,
            order,
            bindings: Bindings::default(),
            differences: Vec::new(),
        }
    }

    fn connection(&mut self, conn: Conn) {
        let lane = &self.script.conns[&conn];
        let place = Place { name: self.name, client: Some(&lane.client), conn: Some(conn) };
        let none = crate::replay::Lane::default();
        let seen = self.observed.conns.get(&conn).unwrap_or(&none);
        if lane.refused != (seen.refused && seen.left_out.is_empty()) {
            let state = |refused| if refused { "refused" } else { "accepted" };
            let first = lane.expected.first().map_or(0, |expected| expected.line);
            let difference =
                place.difference(first, Kind::Connection, state(lane.refused), state(seen.refused));
            return self.differences.push(difference);
        }
        let recorded: Vec<Item<'_>> = lane
            .expected
            .iter()
            .enumerate()
            .filter(|(index, _)| !seen.left_out.contains(index))
            .filter_map(|(index, expected)| {
                Item::new(index, expected.line, expected.since, &expected.event, &self.recorded)
            })
            .collect();
        let actual: Vec<Item<'_>> = seen
            .seen
            .iter()
            .enumerate()
            .filter_map(|(index, seen)| {
                Item::new(index, 0, seen.since.as_secs_f64() * 1000.0, &seen.event, &self.actual)
            })
            .collect();
        self.responses(place, &recorded, &actual);
        let frames = |items: &[Item<'_>]| -> Vec<usize> {
            (0..items.len()).filter(|index| items[*index].frame().is_some()).collect()
        };
        let pairs = compare_frames(
            place,
            &frames(&recorded)
                .iter()
                .map(|index| (recorded[*index].line, recorded[*index].frame().expect("filtered")))
                .collect::<Vec<_>>(),
            &frames(&actual)
                .iter()
                .map(|index| actual[*index].frame().expect("filtered"))
                .collect::<Vec<_>>(),
            self.order,
            &mut self.bindings,
            &mut self.differences,
        );
        let (recorded_frames, actual_frames) = (frames(&recorded), frames(&actual));
        let pairs: Vec<(usize, usize)> =
            pairs.into_iter().map(|(left, right)| (recorded_frames[left], actual_frames[right])).collect();
        self.differences.extend(order_differences(place, &recorded, &actual, &pairs));
        for (left, right) in pairs {
            self.timing(place, &recorded[left], &actual[right]);
        }
        self.end(place, &recorded, &actual, seen.ended_by_client);
    }

    fn responses(&mut self, place: Place<'_>, recorded: &[Item<'_>], actual: &[Item<'_>]) {
        let of = |item: &'_ Item<'_>| matches!(item.content, Content::Response(_));
        let mut actual = actual.iter().filter(|item| of(item));
        for left in recorded.iter().filter(|item| of(item)) {
            let Content::Response(expected) = left.content else { continue };
            let right = actual.next();
            let found = right.and_then(|item| match item.content {
                Content::Response(response) => Some(response),
                Content::Frame(_) | Content::End => None,
            });
            let Some(found) = found else {
                let shown = responses::show(expected);
                self.differences.push(place.difference(left.line, Kind::Missing, &shown, ""));
                continue;
            };
            let sides = (&self.recorded, &self.actual);
            self.differences.extend(responses::compare(
                place,
                left.line,
                expected,
                found,
                sides,
                &mut self.bindings,
            ));
            if let Some(right) = right {
                self.timing(place, left, right);
            }
        }
        for item in actual {
            if let Content::Response(response) = item.content {
                self.differences.push(place.difference(0, Kind::Extra, "", &responses::show(response)));
            }
        }
    }

    /// Compares when two events that belong together came.
    fn timing(&mut self, place: Place<'_>, recorded: &Item<'_>, actual: &Item<'_>) {
        let lane = place.conn.and_then(|conn| self.observed.conns.get(&conn));
        let mut overdue = lane.iter().flat_map(|lane| &lane.overdue);
        if overdue.any(|overdue| recorded.index < overdue.due && actual.index >= overdue.seen) {
            let sides = ("before the client went on", "after the client had waited for it in vain");
            return self.differences.push(place.difference(recorded.line, Kind::Late, sides.0, sides.1));
        }
        if recorded.since < TIMER {
            return;
        }
        let kind = if actual.since < recorded.since * 0.7 {
            Kind::Early
        } else if actual.since > recorded.since * 1.5 + 2000.0 {
            Kind::Late
        } else {
            return;
        };
        let show = |item: &Item<'_>| format!("after {:.0} ms", item.since);
        self.differences.push(place.difference(recorded.line, kind, &show(recorded), &show(actual)));
    }

    fn end(&mut self, place: Place<'_>, recorded: &[Item<'_>], actual: &[Item<'_>], ended_by_client: bool) {
        let end = |items: &[Item<'_>]| items.iter().position(|item| matches!(item.content, Content::End));
        let difference = match (end(recorded), end(actual)) {
            (Some(left), None) => place.difference(recorded[left].line, Kind::Missing, END, ""),
            (None, Some(_)) if !ended_by_client => place.difference(0, Kind::Extra, "", END),
            (Some(left), Some(right)) => return self.timing(place, &recorded[left], &actual[right]),
            (None, _) => return,
        };
        self.differences.push(difference);
    }

    fn sessions(&mut self) {
        let place = Place { name: self.name, client: None, conn: None };
        let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
        for (token, line, texts) in recorded_polls(self.script) {
            let session = sessions.entry(token).or_default();
            session.recorded.extend(texts.into_iter().map(|text| (line, text)));
        }
        for seen in self.observed.conns.values().flat_map(|lane| &lane.seen) {
            if let (Some(token), Some(texts)) = (&seen.session, &seen.messages) {
                let session = sessions.entry(token.clone()).or_default();
                session.actual.extend(texts.iter().map(|text| (seen.nth, text.clone())));
            }
        }
        for Session { mut recorded, mut actual } in sessions.into_values() {
            recorded.sort_by_key(|(line, _)| *line);
            actual.sort_by_key(|(nth, _)| *nth);
            let recorded: Vec<_> =
                recorded.iter().map(|(line, text)| (*line, polled(text, &self.recorded))).collect();
            let actual: Vec<_> = actual.iter().map(|(_, text)| polled(text, &self.actual)).collect();
            compare_frames(
                place,
                &recorded.iter().map(|(line, item)| (*line, item)).collect::<Vec<_>>(),
                &actual.iter().collect::<Vec<_>>(),
                self.order,
                &mut self.bindings,
                &mut self.differences,
            );
        }
    }

    fn calls(&mut self) {
        let place = Place { name: self.name, client: None, conn: None };
        for call in &self.observed.calls {
            let recorded = match &call.recorded {
                Some(status) => format!("{}: {status}", call.title),
                None => format!("{}: success", call.title),
            };
            let actual = match (&call.recorded, &call.actual) {
                (None, Ok((200..=299, _))) => continue,
                (Some(expected), Ok((status, _))) if status == expected => continue,
                (_, Ok((status, body))) => format!("{}: {status} {body}", call.title),
                (_, Err(error)) => format!("{}: {error}", call.title),
            };
            self.differences.push(place.difference(call.line, Kind::Call, &recorded, &actual));
        }
    }

    fn identities(&mut self) {
        let place = Place { name: self.name, client: None, conn: None };
        for (line, recorded, actual) in self.bindings.conflicts() {
            self.differences.push(place.difference(line, Kind::Identity, &recorded, &actual));
        }
    }
}

fn learn(event: &Event, polled: Option<&[String]>, side: &mut Normaliser) {
    match event {
        Event::Frame(frame) => side.learn(frame.content().text().unwrap_or_default()),
        Event::Response(response) => {
            let own = messages(response).unwrap_or_default();
            polled.unwrap_or(&own).iter().for_each(|text| side.learn(text));
        }
        Event::Request(_) | Event::Fin(_) | Event::Rst | Event::Error(_) => {}
    }
}

/// Token, line and messages of every recorded poll.
fn recorded_polls(script: &Script) -> Vec<(String, usize, Vec<String>)> {
    let mut polls = Vec::new();
    let mut requests: BTreeMap<Conn, Vec<Option<String>>> = BTreeMap::new();
    for step in &script.steps {
        match &step.act {
            Act::Send { conn, parts } => {
                for part in parts {
                    if let Part::Event(Event::Request(request)) = part {
                        let token =
                            request_token(request).filter(|_| request.method == "GET").map(str::to_owned);
                        requests.entry(*conn).or_default().push(token);
                    }
                }
            }
            Act::Expect { conn, index } => {
                let expected = &script.conns[conn].expected[*index];
                let Event::Response(response) = &expected.event else { continue };
                let pending = requests.entry(*conn).or_default();
                let token = if pending.is_empty() { None } else { pending.remove(0) };
                if let (Some(token), Some(texts)) = (token, messages(response)) {
                    polls.push((token, expected.line, texts));
                }
            }
            Act::Ctl(_) | Act::Direct(_) | Act::Stop => {}
        }
    }
    polls
}
