//! Both directions of a connection that somebody else has.

use super::Decoder;
use crate::recording::{Direction, Event};

/// Decodes both directions of a connection, each with what the other one tells about it.
#[derive(Debug)]
pub(crate) struct Tap {
    client: Decoder,
    server: Decoder,
}

impl Tap {
    pub(crate) fn new() -> Self {
        Self {
            client: Decoder::new(Direction::ClientToServer),
            server: Decoder::new(Direction::ServerToClient),
        }
    }

    /// What the client's bytes amount to; none at all mean that it has ended.
    pub(crate) fn client(&mut self, bytes: &[u8]) -> Vec<Event> {
        let events = take(&mut self.client, bytes);
        for event in &events {
            if let Event::Request(request) = event {
                self.server.note_request(request);
            }
        }
        events
    }

    /// What the server's bytes amount to; none at all mean that it has ended.
    pub(crate) fn server(&mut self, bytes: &[u8]) -> Vec<Event> {
        let events = take(&mut self.server, bytes);
        for event in &events {
            if let Event::Response(response) = event {
                self.client.note_response(response);
            }
        }
        events
    }
}

fn take(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Event> {
    if bytes.is_empty() {
        return decoder.finish();
    }
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.poll()).collect()
}
