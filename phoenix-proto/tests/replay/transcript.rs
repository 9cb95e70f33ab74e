//! Conversations for people.

use std::fmt::Write;

use phoenix_proto::Incoming;

use crate::app::Answers;
use crate::recording::{Event, PeerId, Recording, Sent, Time, What};

/// The lines of all clients: `>` from the client, `<` to it, `*` for the rest.
pub(crate) fn render(recording: &Recording, answers: &Answers) -> String {
    let mut out = String::new();
    for (&peer, answers) in answers {
        let events = recording.events.iter();
        let mut lines: Vec<(Time, String)> =
            events.filter_map(|event| Some((event.at, line(event, peer)?))).collect();
        lines.extend(answers.iter().map(|answer| (answer.at, format!("< {}", answer.shown))));
        // Stable, so that at equal times questions precede answers.
        lines.sort_by_key(|(at, _)| *at);
        let first = lines.iter().position(|(_, line)| line.starts_with("* /")).unwrap_or(0);
        writeln!(out, "{peer}").expect("writing to a string");
        write_lines(&mut out, &lines[first..]);
    }
    let elsewhere = recording.events.iter().filter_map(|event| match &event.what {
        What::Http { request, answer } => Some((event.at, format!("> {request}: {answer}"))),
        _ => None,
    });
    let elsewhere: Vec<_> = elsewhere.collect();
    if !elsewhere.is_empty() {
        out.push_str("Answered by the layer above, and compared in the replay over sockets only\n");
        write_lines(&mut out, &elsewhere);
    }
    out
}

fn line(event: &Event, peer: PeerId) -> Option<String> {
    if let What::Control { action, request } = &event.what {
        return Some(format!("* the server is told: {action} {request}"));
    }
    if event.peer != peer {
        return None;
    }
    Some(match &event.what {
        What::Opened { target, request: None } => format!("* {target}"),
        What::Opened { target, request: Some(request) } => format!("* {target}, request {request}"),
        What::Received(incoming) => format!("> {}", incoming_text(incoming)),
        What::Polled { request, .. } => format!("> request {request}: poll"),
        What::Posted { request, format, body } => {
            let body = shortened(&String::from_utf8_lossy(body));
            format!("> request {request}: post {format:?} {body}")
        }
        What::GaveUp { request } => format!("> gives up request {request}"),
        What::Left => "* the client leaves".to_owned(),
        What::Bytes => "> (bytes that are no message)".to_owned(),
        What::Sent(_) | What::Control { .. } | What::Http { .. } => return None,
    })
}

fn write_lines(out: &mut String, lines: &[(Time, String)]) {
    for (at, line) in lines {
        // What has more lines than one goes on below the text of the first.
        let line = line.replace('\n', "\n             ");
        writeln!(out, "{:>8}.{} {line}", at / 10, at % 10).expect("writing to a string");
    }
    out.push('\n');
}

fn incoming_text(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Text(text) => shortened(text),
        Incoming::Binary(data) => hex(data),
    }
}

pub(crate) fn show(sent: &Sent) -> String {
    match sent {
        Sent::Text(json) => shortened(&json.to_string()),
        Sent::Binary(data) => hex(data),
        Sent::Close(code) => format!("close {code}"),
        Sent::Answer { request, status, messages } => {
            let messages = messages.iter().map(|message| format!("\n{}", shortened(&message.to_string())));
            format!("answer {request}: {status}{}", messages.collect::<String>())
        }
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
