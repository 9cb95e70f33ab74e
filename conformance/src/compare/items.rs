//! What the server said on a connection or in a long-poll session, as items that can be compared.

use super::normalise::{Message, Normaliser, Values, describe};
use crate::recording::{Event, Frame, Response};

/// Something the server said.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// Position among all events of the connection on its side.
    pub(super) index: usize,
    /// Line of the recording; 0 for what was seen in this run.
    pub(super) line: usize,
    /// Milliseconds since the event before on the connection.
    pub(super) since: f64,
    pub(super) content: Content<'a>,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    Response(&'a Response),
    Frame(FrameItem),
    End,
}

/// A frame, or a message of a poll.
#[derive(Debug)]
pub(super) struct FrameItem {
    /// Frames of one chain keep their order.
    pub(super) chain: Chain,
    /// Equal keys mean equal frames.
    pub(super) key: String,
    pub(super) values: Values,
    /// For people.
    pub(super) shown: String,
    pub(super) of_socket: bool,
    pub(super) presence: Option<Presence>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chain {
    Topic(String),
    Pong,
    Close,
    /// Whatever belongs to no topic.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    State,
    Diff,
}

impl<'a> Item<'a> {
    /// `None` for an event a server cannot send.
    pub(super) fn new(
        index: usize,
        line: usize,
        since: f64,
        event: &'a Event,
        side: &Normaliser,
    ) -> Option<Self> {
        let content = match event {
            Event::Response(response) => Content::Response(response),
            Event::Frame(frame) => Content::Frame(frame_item(frame, side)),
            // Whether an end is FIN or RST depends on what the kernel had not delivered yet.
            Event::Fin(_) | Event::Rst => Content::End,
            Event::Error(error) => Content::Frame(FrameItem {
                chain: Chain::Other,
                key: error.clone(),
                values: Values::new(),
                shown: error.clone(),
                of_socket: false,
                presence: None,
            }),
            Event::Request(_) => return None,
        };
        Some(Self { index, line, since, content })
    }

    pub(super) fn frame(&self) -> Option<&FrameItem> {
        match &self.content {
            Content::Frame(frame) => Some(frame),
            Content::Response(_) | Content::End => None,
        }
    }
}

/// A message that came in a poll.
pub(super) fn polled(text: &str, side: &Normaliser) -> FrameItem {
    let message = side.message(text);
    of_message(message, "", text.to_owned())
}

fn frame_item(frame: &Frame, side: &Normaliser) -> FrameItem {
    let flags = flags(frame);
    let plain = |chain, key: String| FrameItem {
        chain,
        shown: key.clone(),
        key,
        values: Values::new(),
        of_socket: false,
        presence: None,
    };
    match frame.opcode {
        Frame::TEXT => match frame.content().text() {
            Some(text) => of_message(side.message(text), &flags, format!("{flags}{text}")),
            None => plain(Chain::Other, format!("{flags}text {}", describe(frame.content()))),
        },
        Frame::BINARY => {
            let chain = binary_topic(frame).map_or(Chain::Other, Chain::Topic);
            plain(chain, format!("{flags}binary {}", describe(frame.content())))
        }
        Frame::CLOSE => {
            let code = frame.close_code().map_or_else(|| "without code".to_owned(), |code| code.to_string());
            let reason = frame.payload.whole().and_then(|payload| payload.get(2..)).unwrap_or_default();
            plain(
                Chain::Close,
                format!("{flags}close {code} {}", String::from_utf8_lossy(reason)).trim_end().to_owned(),
            )
        }
        Frame::PONG => plain(Chain::Pong, format!("{flags}pong {}", describe(&frame.payload))),
        opcode => plain(Chain::Other, format!("{flags}opcode {opcode} {}", describe(&frame.payload))),
    }
}

fn of_message(message: Message, flags: &str, shown: String) -> FrameItem {
    let presence = match message.event.as_deref() {
        Some("presence_state") => Some(Presence::State),
        Some("presence_diff") if message.of_topic => Some(Presence::Diff),
        _ => None,
    };
    FrameItem {
        chain: message.topic.map_or(Chain::Other, Chain::Topic),
        key: format!("{flags}{}", message.key),
        values: message.values,
        shown,
        of_socket: message.of_socket,
        presence,
    }
}

/// What is unusual about a frame of a server.
fn flags(frame: &Frame) -> String {
    let mut flags = String::new();
    if !frame.fin {
        flags.push_str("unfinished ");
    }
    if frame.masked {
        flags.push_str("masked ");
    }
    match frame.rsv {
        0 => {}
        4 if frame.inflated.is_some() => flags.push_str("compressed "),
        rsv => flags = format!("{flags}rsv {rsv} "),
    }
    flags
}

/// The topic of a binary message of the server.
fn binary_topic(frame: &Frame) -> Option<String> {
    let head = match frame.content() {
        crate::recording::Payload::Whole(bytes) => bytes,
        crate::recording::Payload::Abbreviated(short) => &short.head,
    };
    let size = |index: usize| head.get(index).copied().map(usize::from);
    let (start, length) = match head.first()? {
        0 => (4 + size(1)?, size(2)?),
        1 => (5 + size(1)? + size(2)?, size(3)?),
        2 => (3, size(1)?),
        _ => return None,
    };
    String::from_utf8(head.get(start..start + length)?.to_vec()).ok()
}
