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
    overflow: bool,
}

/// A peer may send this many bytes before they amount to an event.
const MAX_PENDING: usize = 64 * 1024 * 1024;

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
            overflow: false,
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
        if self.buffer.len() + bytes.len() > MAX_PENDING {
            self.overflow = true;
        }
        if !self.overflow {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next event, as soon as all of its bytes are there.
    pub fn poll(&mut self) -> Option<Event> {
        if self.overflow && !matches!(self.mode, Mode::Broken) {
            self.mode = Mode::Broken;
            return Some(Event::Error("too many bytes without an event".to_owned()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_protocol_gives_one_error_and_an_end() {
        let mut decoder = Decoder::new(Direction::ServerToClient);
        decoder.push(b"what is this?\r\n\r\n");
        assert!(matches!(decoder.poll(), Some(Event::Error(_))));
        decoder.push(b"more of it");
        assert_eq!(decoder.poll(), None);
        assert_eq!(decoder.finish(), [Event::Fin(Fin::default())]);
    }

    #[test]
    fn a_frame_that_never_ends_is_given_up() {
        let mut decoder = Decoder::new(Direction::ServerToClient);
        decoder.push(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        assert!(matches!(decoder.poll(), Some(Event::Response(_))));
        let chunk = vec![0; 1024 * 1024];
        let mut events = (0..=64).filter_map(|_| {
            decoder.push(&chunk);
            decoder.poll()
        });
        assert!(matches!(events.next(), Some(Event::Error(_))));
    }
}
