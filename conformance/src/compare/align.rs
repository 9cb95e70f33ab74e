//! Frames of the recording next to the frames of this run.

use std::collections::BTreeMap;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::items::{Chain, Content, FrameItem, Item, Presence};
use super::normalise::{Class, Values};
use super::{FrameOrder, Place};
use crate::difference::{Difference, Kind};

/// Pairs of values that vary, by the line where they met.
#[derive(Debug, Default)]
pub(super) struct Bindings(Vec<(usize, Class, String, String)>);

impl Bindings {
    /// Notes that the values of two frames stand for each other.
    pub(super) fn bind(&mut self, line: usize, recorded: &Values, actual: &Values) {
        for ((class, left), (_, right)) in recorded.iter().zip(actual) {
            self.0.push((line, *class, left.clone(), right.clone()));
        }
    }

    /// Where a value stands for two, or two for one.
    pub(super) fn conflicts(&mut self) -> Vec<(usize, String, String)> {
        self.0.sort();
        let mut forth: BTreeMap<(Class, &str), &str> = BTreeMap::new();
        let mut back: BTreeMap<(Class, &str), &str> = BTreeMap::new();
        let mut conflicts = Vec::new();
        for (line, class, left, right) in &self.0 {
            let first = *forth.entry((*class, left)).or_insert(right);
            let origin = *back.entry((*class, right)).or_insert(left);
            if first != right {
                conflicts.push((*line, format!("{left} again"), format!("{right}, but before {first}")));
            } else if origin != left {
                conflicts.push((*line, format!("{left}, but before {origin}"), format!("{right} again")));
            }
        }
        conflicts
    }
}

/// Compares frames chain by chain and returns the indexes of those that belong together.
pub(super) fn compare_frames<'a>(
    place: Place<'_>,
    recorded: &[(usize, &'a FrameItem)],
    actual: &[&'a FrameItem],
    order: FrameOrder,
    bindings: &mut Bindings,
    differences: &mut Vec<Difference>,
) -> Vec<(usize, usize)> {
    let chain = |item: &'a FrameItem| match order {
        FrameOrder::PerTopic => &item.chain,
        FrameOrder::Exact => &Chain::Other,
    };
    let mut chains: BTreeMap<&Chain, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, (_, item)) in recorded.iter().enumerate() {
        chains.entry(chain(item)).or_default().0.push(index);
    }
    for (index, item) in actual.iter().enumerate() {
        chains.entry(chain(item)).or_default().1.push(index);
    }
    let mut pairs = Vec::new();
    for (chain, (mut left, mut right)) in chains {
        settle_presence(&mut left, |index| recorded[index].1.presence);
        settle_presence(&mut right, |index| actual[index].presence);
        let keys = (
            left.iter().map(|index| recorded[*index].1.key.as_str()).collect::<Vec<_>>(),
            right.iter().map(|index| actual[*index].key.as_str()).collect::<Vec<_>>(),
        );
        for op in capture_diff_slices(Algorithm::Myers, &keys.0, &keys.1) {
            let (old, new) = (&left[op.old_range()], &right[op.new_range()]);
            if let DiffOp::Equal { .. } = op {
                for (left, right) in old.iter().zip(new) {
                    let (line, item) = recorded[*left];
                    bindings.bind(line, &item.values, &actual[*right].values);
                    pairs.push((*left, *right));
                }
                continue;
            }
            let kind = if *chain == Chain::Close { Kind::CloseCode } else { Kind::Changed };
            for index in 0..old.len().max(new.len()) {
                differences.push(match (old.get(index), new.get(index)) {
                    (Some(left), Some(right)) => {
                        let (line, item) = recorded[*left];
                        place.difference(line, kind, &item.shown, &actual[*right].shown)
                    }
                    (Some(left), None) => {
                        place.difference(recorded[*left].0, Kind::Missing, &recorded[*left].1.shown, "")
                    }
                    (None, right) => {
                        place.difference(0, Kind::Extra, "", right.map_or("", |right| &actual[*right].shown))
                    }
                });
            }
        }
    }
    pairs
}

/// Brings a diff and a state that stand next to each other into one order.
fn settle_presence(indexes: &mut [usize], presence: impl Fn(usize) -> Option<Presence>) {
    for at in 1..indexes.len() {
        let both = (presence(indexes[at - 1]), presence(indexes[at]));
        if both == (Some(Presence::State), Some(Presence::Diff)) {
            indexes.swap(at - 1, at);
        }
    }
}

/// Where frames of different chains that are ordered all the same are not.
pub(super) fn order_differences(
    place: Place<'_>,
    recorded: &[Item<'_>],
    actual: &[Item<'_>],
    pairs: &[(usize, usize)],
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut pairs: Vec<_> = pairs.to_vec();
    pairs.sort_unstable();
    let mut latest: Option<(usize, usize)> = None;
    for (left, right) in pairs {
        let Some(frame) = recorded[left].frame().filter(|frame| frame.of_socket) else { continue };
        if let Some((before, _)) = latest.filter(|(_, latest)| *latest > right) {
            let other = recorded[before].frame().map_or("", |frame| &frame.shown);
            let then = |first: &str, second: &str| format!("{first}\nthen {second}");
            differences.push(place.difference(
                recorded[left].line,
                Kind::Order,
                &then(other, &frame.shown),
                &then(&frame.shown, other),
            ));
        }
        latest = latest.max(Some((left, right)));
    }
    let close = actual.iter().position(|item| item.frame().is_some_and(|frame| frame.chain == Chain::Close));
    for item in close.map_or(&[][..], |close| &actual[close + 1..]) {
        if let Content::Frame(frame) = &item.content {
            differences.push(place.difference(
                0,
                Kind::Order,
                "",
                &format!("after the close frame: {}", frame.shown),
            ));
        }
    }
    differences
}
