//! Conversations for people, and their comparison with the recording.

use std::collections::BTreeMap;
use std::fmt::Write;

use phoenix_proto::Incoming;

use crate::app::{Answer, Answers};
use crate::recording::{Recording, Sent, Time, What};

/// The lines of all connections: `>` from the client, `<` to it, `*` for the rest.
pub(crate) fn render(recording: &Recording, answers: &Answers) -> String {
    let mut out = String::new();
    for (&connection, answers) in answers {
        let mut lines: Vec<(Time, String)> = Vec::new();
        for event in recording.events.iter().filter(|event| event.connection == connection) {
            let line = match &event.what {
                What::Opened { path, query } => format!("* {path}?{query}"),
                What::Received(Incoming::Text(text)) => format!("> {}", shortened(text)),
                What::Received(Incoming::Binary(data)) => format!("> {}", hex(data)),
                What::Left => "* the client leaves".to_owned(),
                What::Bytes => "> (bytes that are no message)".to_owned(),
                What::Sent(_) | What::Control { .. } => continue,
            };
            lines.push((event.at, line));
        }
        for control in recording.events.iter().filter(|event| event.connection == 0) {
            if let What::Control { action, request } = &control.what {
                lines.push((control.at, format!("* the server is told: {action} {request}")));
            }
        }
        lines.extend(answers.iter().map(|answer| (answer.at, format!("< {}", answer.shown))));
        // Stable, so that at equal times questions precede answers.
        lines.sort_by_key(|(at, _)| *at);
        let first = lines.iter().position(|(_, line)| line.starts_with("* /")).unwrap_or(0);
        writeln!(out, "Connection {connection}").expect("writing to a string");
        for (at, line) in &lines[first..] {
            writeln!(out, "{:>8}.{} {line}", at / 10, at % 10).expect("writing to a string");
        }
        out.push('\n');
    }
    out
}

/// What Phoenix sent and the machine did not (`-`), and the other way round (`+`), per connection.
pub(crate) fn differences(recording: &Recording, answers: &Answers) -> String {
    let mut recorded: BTreeMap<u64, Vec<&Sent>> = BTreeMap::new();
    let mut left = Vec::new();
    for event in &recording.events {
        match &event.what {
            What::Left => left.push(event.connection),
            // The answer to a close frame is up to the WebSocket layer.
            What::Sent(Sent::Close(_)) if left.contains(&event.connection) => {}
            What::Sent(sent) => recorded.entry(event.connection).or_default().push(sent),
            _ => {}
        }
    }
    let mut out = String::new();
    for (connection, answers) in answers {
        let recorded = recorded.remove(connection).unwrap_or_default();
        let lines = difference(&recorded, answers);
        if !lines.is_empty() {
            write!(out, "Connection {connection}\n{lines}").expect("writing to a string");
        }
    }
    out
}

/// The shortest difference of two conversations, by their longest common subsequence.
fn difference(recorded: &[&Sent], answers: &[Answer]) -> String {
    let (rows, columns) = (recorded.len(), answers.len());
    let mut common = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if *recorded[row] == answers[column].sent {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut out = String::new();
    while row < rows || column < columns {
        if row < rows && column < columns && *recorded[row] == answers[column].sent {
            (row, column) = (row + 1, column + 1);
        } else if column == columns || row < rows && common[row + 1][column] >= common[row][column + 1] {
            writeln!(out, "  - {}", show(recorded[row])).expect("writing to a string");
            row += 1;
        } else {
            writeln!(out, "  + {}", answers[column].shown).expect("writing to a string");
            column += 1;
        }
    }
    out
}

pub(crate) fn show(sent: &Sent) -> String {
    match sent {
        Sent::Text(json) => shortened(&json.to_string()),
        Sent::Binary(data) => hex(data),
        Sent::Close(code) => format!("close {code}"),
    }
}

pub(crate) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(200).collect::<String>().escape_debug().to_string();
    shown = shown.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
    if text.chars().count() > 200 {
        write!(shown, "… ({} bytes)", text.len()).expect("writing to a string");
    }
    shown
}

/// Readable characters as they are, other bytes in hexadecimal.
pub(crate) fn hex(data: &[u8]) -> String {
    let mut shown = format!("binary {}", data[..data.len().min(100)].escape_ascii());
    if data.len() > 100 {
        write!(shown, "… ({} bytes)", data.len()).expect("writing to a string");
    }
    shown
}
