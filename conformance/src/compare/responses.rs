//! One response next to another.

use std::collections::BTreeSet;

use super::Place;
use super::align::Bindings;
use super::normalise::Normaliser;
use crate::difference::{Difference, Kind};
use crate::recording::Response;

/// Compares status, the headers that matter, and the body.
pub(super) fn compare(
    place: Place<'_>,
    line: usize,
    recorded: &Response,
    actual: &Response,
    (left, right): (&Normaliser, &Normaliser),
    bindings: &mut Bindings,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    if recorded.status != actual.status {
        differences.push(place.difference(line, Kind::Status, &show(recorded), &show(actual)));
        return differences;
    }
    let headers = (Normaliser::headers(recorded), Normaliser::headers(actual));
    for name in headers.0.keys().chain(headers.1.keys()).collect::<BTreeSet<_>>() {
        let (before, after) = (headers.0.get(name), headers.1.get(name));
        if before != after {
            let show = |value: Option<&String>| {
                value.map_or_else(|| format!("no {name}"), |value| format!("{name}: {value}"))
            };
            differences.push(place.difference(line, Kind::Header, &show(before), &show(after)));
        }
    }
    let (before, recorded_values) = left.body(recorded);
    let (after, actual_values) = right.body(actual);
    if before == after {
        bindings.bind(line, &recorded_values, &actual_values);
    } else {
        differences.push(place.difference(line, Kind::Body, &before, &after));
    }
    differences
}

/// A response in a line.
pub(super) fn show(response: &Response) -> String {
    let body = response.content().text().unwrap_or_default();
    format!("{} {} {body}", response.status, response.reason).trim_end().to_owned()
}
