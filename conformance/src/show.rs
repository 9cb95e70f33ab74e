//! A recording for people to read.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;

use crate::recording::{Direction, Entry, Event, Frame, Item, Payload, Recording, Request, Response, Wire};

/// Longer texts are cut.
const WIDTH: usize = 160;

impl Recording {
    /// Writes the recording for people to read, with colours; give it an `anstream` to adapt them.
    pub fn show(&self, out: &mut impl Write) -> io::Result<()> {
        self.entries.iter().try_for_each(|entry| show_entry(entry, out))
    }
}

fn show_entry(Entry { t, item, .. }: &Entry, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{}  ", format!("{t:9.1}").dimmed())?;
    match item {
        Item::Meta(meta) => writeln!(out, "{}: {}", meta.scenario.bold(), meta.desc),
        Item::Wire(wire) => show_wire(wire, out),
        Item::Ctl(ctl) => {
            writeln!(out, "{} {}", format!("ctl {}", ctl.action).magenta(), cut(&ctl.request.to_string()))
        }
        Item::DirectHttp(direct) => {
            writeln!(out, "{} {}", "around the proxy".magenta(), cut(&direct.request.to_string()))
        }
        Item::Note(text) => writeln!(out, "{}", text.yellow().bold()),
        Item::App(app) => {
            let data = app.data.as_ref().map(ToString::to_string).unwrap_or_default();
            writeln!(out, "{}", format!("  {} app {} {}", app.client, app.event, cut(&data)).dimmed())
        }
        Item::ServerLog(entries) => writeln!(out, "{}", cut(&format!("  log {entries}")).dimmed()),
        Item::Other(value) => writeln!(out, "{}", cut(&value.to_string())),
    }
}

fn show_wire(wire: &Wire, out: &mut impl Write) -> io::Result<()> {
    let what = cut(&show_event(&wire.event));
    let who = format!("{}{:<3}", wire.client, wire.conn.0);
    match wire.dir {
        Direction::ClientToServer => writeln!(out, "{} {} {what}", who.bold(), "-->".cyan()),
        Direction::ServerToClient => writeln!(out, "{} {} {what}", who.bold(), "<--".green()),
    }
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Request(Request { method, path, query, body, .. }) => {
            format!("{method} {path}?{query} {}", show_payload(body))
        }
        Event::Response(response @ Response { status, reason, .. }) => {
            format!("{status} {reason} {}", show_payload(response.content()))
        }
        Event::Frame(frame) => show_frame(frame),
        Event::Fin(fin) => match fin.partial_frame {
            Some(partial) => {
                format!("FIN, after {} of {} bytes of a frame", partial.have, partial.declared_length)
            }
            None => "FIN".to_owned(),
        },
        Event::Rst => "RST".to_owned(),
        Event::Error(error) => error.clone(),
    }
}

fn show_frame(frame: &Frame) -> String {
    let kind = match frame.opcode {
        Frame::CONTINUATION => "continuation ",
        Frame::TEXT => "text ",
        Frame::BINARY => "binary ",
        Frame::CLOSE => {
            return match frame.close_code() {
                Some(code) => format!("close {code}"),
                None => "close".to_owned(),
            };
        }
        Frame::PING => "ping ",
        Frame::PONG => "pong ",
        _ => "unknown opcode ",
    };
    let fin = if frame.fin { "" } else { "unfinished " };
    let rsv = if frame.rsv == 0 { String::new() } else { format!("rsv {} ", frame.rsv) };
    format!("{fin}{rsv}{kind}{}", show_payload(frame.content()))
}

fn show_payload(payload: &Payload) -> String {
    match payload {
        Payload::Whole(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.escape_debug().to_string().replace("\\\"", "\""),
            Err(_) => bytes.escape_ascii().to_string(),
        },
        Payload::Abbreviated(short) => format!("{} bytes: {}", short.length, short.head.escape_ascii()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
