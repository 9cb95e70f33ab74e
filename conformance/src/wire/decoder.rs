//! From the bytes of one direction of a connection to the events a recording has.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::frame::{self, Inflater};
use super::http;
use crate::recording::{Direction, Event, Fin, Frame, Request, Response};

/// Decodes one direction of one connection, whatever it carries.
///
/// Feed it with [`push`](Self::push), take events with [`poll`](Self::poll) until there is none, and end with
/// [`finish`](Self::finish). What cannot be decoded gives one [`Event::Error`]; the bytes after that are dropped.
#[derive(Debug)]
pub struct Decoder {
    direction: Direction,
    buffer: BytesMut,
    mode: Mode,
    inflater: Option<Inflater>,
    /// Methods of the requests that have not been answered.
    methods: VecDeque<String>,
    ended: bool,
}

#[derive(Debug)]
enum Mode {
    Http,
    /// A client asked for an upgrade: what its next bytes mean depends on the answer.
    Undecided,
    Frames,
    /// Nothing can be made of the bytes.
    Broken,
}

impl Decoder {
    /// A decoder for what the client, or for what the server sends.
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            buffer: BytesMut::new(),
            mode: Mode::Http,
            inflater: None,
            methods: VecDeque::new(),
            ended: false,
        }
    }

    /// Tells the decoder of a server's bytes which request is to be answered next.
    pub fn note_request(&mut self, request: &Request) {
        self.methods.push_back(request.method.clone());
    }

    /// Tells the decoder of a client's bytes what the server answered.
    pub fn note_response(&mut self, response: &Response) {
        if let Mode::Undecided = self.mode {
            self.mode = if response.status == 101 { Mode::Frames } else { Mode::Http };
        }
        if response.status == 101 {
            self.inflater = inflater(response, "client_no_context_takeover");
        }
    }

    /// Takes in bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, as soon as all of its bytes are there.
    pub fn poll(&mut self) -> Option<Event> {
        match self.mode {
            Mode::Http => self.poll_http().unwrap_or_else(|error| {
                self.mode = Mode::Broken;
                self.buffer.clear();
                Some(Event::Error(error.to_string()))
            }),
            Mode::Undecided => None,
            Mode::Frames => frame::decode(&mut self.buffer).map(|mut frame| {
                self.inflate(&mut frame);
                Event::Frame(frame)
            }),
            Mode::Broken => {
                self.buffer.clear();
                None
            }
        }
    }

    /// What the end of this direction amounts to; the last event there is.
    pub fn finish(&mut self) -> Vec<Event> {
        self.ended = true;
        let mut events: Vec<Event> = std::iter::from_fn(|| self.poll()).collect();
        let partial_frame = if let Mode::Frames = self.mode { frame::partial(&self.buffer) } else { None };
        let unparsed_bytes =
            (partial_frame.is_none() && !self.buffer.is_empty()).then_some(self.buffer.len());
        events.push(Event::Fin(Fin { partial_frame, unparsed_bytes }));
        events
    }

    fn poll_http(&mut self) -> Result<Option<Event>, http::HttpError> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        match self.direction {
            Direction::ClientToServer => {
                let Some(request) = http::decode_request(&mut self.buffer)? else { return Ok(None) };
                if request.header("upgrade").is_some() {
                    self.mode = Mode::Undecided;
                }
                Ok(Some(Event::Request(request)))
            }
            Direction::ServerToClient => {
                let method = self.methods.front().map_or("GET", String::as_str);
                let Some(response) = http::decode_response(&mut self.buffer, method, self.ended)? else {
                    return Ok(None);
                };
                self.methods.pop_front();
                if response.status == 101 {
                    self.mode = Mode::Frames;
                    self.inflater = inflater(&response, "server_no_context_takeover");
                }
                Ok(Some(Event::Response(response)))
            }
        }
    }

    fn inflate(&mut self, frame: &mut Frame) {
        if let Some(inflater) = &mut self.inflater {
            inflater.inflate(frame);
        }
    }
}

fn inflater(response: &Response, no_context_parameter: &str) -> Option<Inflater> {
    Inflater::negotiated(response.header("sec-websocket-extensions")?, no_context_parameter)
}
