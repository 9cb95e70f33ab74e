//! How a conversation differs from the recorded one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::app::Answers;
use crate::recording::{PeerId, Recording, Sent, What};
use crate::transcript::show;

/// What Phoenix sent and the machines did not (`-`), and the other way round (`+`), for each client.
///
/// Of a long-poll session the answers are compared in the order of the requests.
pub(crate) fn differences(recording: &Recording, answers: &Answers) -> String {
    let recorded = recorded(recording);
    let mut by_time: Vec<_> = answers.values().flatten().collect();
    by_time.sort_by_key(|answer| answer.at);
    let actual_refs = PhxRefs::of(by_time.into_iter().map(|answer| &answer.sent));
    let recorded_refs = PhxRefs::of(recording.events.iter().filter_map(|event| match &event.what {
        What::Sent(sent) => Some(sent),
        _ => None,
    }));
    let mut out = String::new();
    for (peer, answers) in answers {
        let recorded = recorded.get(peer).into_iter().flatten().map(|sent| recorded_refs.named(sent));
        let actual = answers.iter().map(|answer| actual_refs.named(&answer.sent));
        let lines = difference(&by_request(recorded), &by_request(actual));
        if !lines.is_empty() {
            write!(out, "{peer}\n{lines}").expect("writing to a string");
        }
    }
    out
}

fn recorded(recording: &Recording) -> BTreeMap<PeerId, Vec<&Sent>> {
    let mut recorded: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut left = BTreeSet::new();
    for event in &recording.events {
        match &event.what {
            What::Left => {
                left.insert(event.peer);
            }
            // The answer to a close frame is up to the WebSocket layer.
            What::Sent(Sent::Close(_)) if left.contains(&event.peer) => {}
            What::Sent(sent) => recorded.entry(event.peer).or_default().push(sent),
            _ => {}
        }
    }
    recorded
}

fn by_request(sent: impl Iterator<Item = Sent>) -> Vec<Sent> {
    let mut sent: Vec<_> = sent.collect();
    sent.sort_by_key(|sent| match sent {
        Sent::Answer { request, .. } => *request,
        _ => 0,
    });
    sent
}

/// The shortest difference of two conversations, by their longest common subsequence.
fn difference(recorded: &[Sent], actual: &[Sent]) -> String {
    let (rows, columns) = (recorded.len(), actual.len());
    let mut common = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if recorded[row] == actual[column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut out = String::new();
    let mut write = |sign, sent| {
        writeln!(out, "  {sign} {}", show(sent).replace('\n', "\n    ")).expect("writing to a string");
    };
    while row < rows || column < columns {
        if row < rows && column < columns && recorded[row] == actual[column] {
            (row, column) = (row + 1, column + 1);
        } else if column == columns || row < rows && common[row + 1][column] >= common[row][column + 1] {
            write('-', &recorded[row]);
            row += 1;
        } else {
            write('+', &actual[column]);
            column += 1;
        }
    }
    out
}

/// Names for the `phx_ref`s of one side in the order of their appearance: they vary, but not which of them are the same.
struct PhxRefs(BTreeMap<String, String>);

impl PhxRefs {
    fn of<'a>(sent: impl Iterator<Item = &'a Sent>) -> Self {
        let mut refs = Self(BTreeMap::new());
        sent.flat_map(Sent::messages).for_each(|message| refs.collect(message));
        refs
    }

    fn collect(&mut self, json: &Value) {
        match json {
            Value::Object(fields) => {
                for key in ["phx_ref_prev", "phx_ref"] {
                    if let Some(phx_ref) = fields.get(key).and_then(Value::as_str) {
                        let number = self.0.len() + 1;
                        self.0.entry(phx_ref.to_owned()).or_insert_with(|| format!("phx_ref {number}"));
                    }
                }
                fields.values().for_each(|value| self.collect(value));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }

    fn named(&self, sent: &Sent) -> Sent {
        let mut sent = sent.clone();
        sent.messages_mut().iter_mut().for_each(|message| self.rename(message));
        sent
    }

    fn rename(&self, json: &mut Value) {
        match json {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.rename(value)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item)),
            Value::String(text) => {
                if let Some(name) = self.0.get(text) {
                    text.clone_from(name);
                }
            }
            _ => {}
        }
    }
}
