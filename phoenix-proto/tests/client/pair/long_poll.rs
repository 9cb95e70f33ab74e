//! Long polling between the two: the transport of the client, the session of the server, requests that get lost.

use std::collections::BTreeMap;
use std::time::Instant;

use phoenix_proto::Frame;
use phoenix_proto::client::longpoll::{Command, Event, Method, Request, RequestId};
use phoenix_proto::client::{ConnectionId, Transport};
use phoenix_proto::longpoll::{
    Answer as Body, BodyFormat, Config, Messages, PollId, Polled, Session, parse_body,
};

use super::server::{Answer, Server};
use super::world::{Parcel, World};

/// The token of every session: a request is known by its connection.
const TOKEN: &str = "T";

/// A session, with the requests that wait for it.
pub(super) struct Polling {
    session: Session,
    polls: BTreeMap<PollId, RequestId>,
}

impl Polling {
    pub(super) fn new(now: Instant) -> Self {
        Self { session: Session::new(Config::default(), now), polls: BTreeMap::new() }
    }

    /// Takes frames for the client, and gives polls what they get.
    pub(super) fn answer(&mut self, frames: impl Iterator<Item = Frame>) -> Vec<Answer> {
        for frame in frames {
            // Text only, and less than there is room for.
            self.session.push(frame).expect("the session takes it");
        }
        let mut answers = Vec::new();
        while let Some((poll, polled)) = self.session.poll_answer() {
            let request = self.polls.remove(&poll).expect("asked");
            self.session.handle_written(poll);
            let body = match polled {
                Polled::Messages(frames) => {
                    Body::Messages(TOKEN, &Messages::encode(&frames)).to_json().into_owned()
                }
                Polled::NoContent => Body::NoContent(TOKEN).to_json().into_owned(),
            };
            answers.push(Answer::Response(request, body));
        }
        answers
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    pub(super) fn is_over(&self) -> bool {
        self.session.ended().is_some()
    }
}

impl Server {
    pub(super) fn request(
        &mut self,
        id: ConnectionId,
        request: &Request,
        vsn: &str,
        now: Instant,
    ) -> Vec<Answer> {
        if !request.url.contains("token=") {
            self.open(id, vsn, Some(Polling::new(now)), now);
            return vec![Answer::Response(request.id, Body::Opened(TOKEN).to_json().into_owned())];
        }
        let Some(peer) = self.peers.get_mut(&id) else {
            return vec![Answer::Response(request.id, Body::Gone.to_json().into_owned())];
        };
        if request.method == Method::Get {
            let polling = peer.session.as_mut().expect("it polls");
            let poll = polling.session.handle_poll(now);
            polling.polls.insert(poll, request.id);
            return peer.drain(&mut self.handled, now);
        }
        let is_batch = request.headers.iter().any(|(_, value)| *value == *"application/x-ndjson");
        let format = if is_batch { BodyFormat::Lines } else { BodyFormat::Single };
        let mut answers = vec![Answer::Response(request.id, Body::Accepted.to_json().into_owned())];
        for incoming in parse_body(format, &request.body).expect("a body of our own") {
            peer.connection.handle_incoming(incoming, now);
        }
        answers.extend(peer.drain(&mut self.handled, now));
        answers
    }

    /// A request is not waited for any more.
    pub(super) fn request_lost(&mut self, id: ConnectionId, request: RequestId) {
        let Some(polling) = self.peers.get_mut(&id).and_then(|peer| peer.session.as_mut()) else { return };
        let poll = polling.polls.iter().find(|(_, waiting)| **waiting == request).map(|(poll, _)| *poll);
        if let Some(poll) = poll {
            polling.polls.remove(&poll);
            polling.session.handle_lost(poll);
        }
    }
}

impl World {
    /// Carries out what the transport wants, and tells the socket what it says; whether that was anything.
    pub(super) fn drain_long_poll(&mut self) -> bool {
        let (Some(long_poll), Some(connection)) = (&mut self.long_poll, self.connection) else {
            return false;
        };
        let mut parcels = Vec::new();
        while let Some(command) = long_poll.poll_command(self.now) {
            parcels.push(match command {
                Command::Request(request) => {
                    self.requests.insert(request.id);
                    Parcel::Request(connection, request)
                }
                Command::Abort(request) => {
                    self.requests.remove(&request);
                    Parcel::Lost(connection, request)
                }
            });
        }
        let event = long_poll.poll_event();
        for parcel in parcels {
            self.post(parcel);
        }
        match event {
            None => return false,
            Some(Event::Opened) => self.socket.handle_open(connection, self.now),
            Some(Event::Message(message)) => self.socket.handle_frame(connection, message, self.now),
            Some(Event::Closed(closed)) => {
                self.long_poll = None;
                self.socket.handle_closed(connection, closed, self.now);
            }
        }
        true
    }

    /// All requests that are on their way fail, for both sides.
    pub(super) fn cut_requests(&mut self) {
        let Some(connection) = self.connection else { return };
        self.link.retain(|_, parcel| {
            !matches!(parcel, Parcel::Request(..) | Parcel::ToClient(_, Answer::Response(..)))
        });
        for request in std::mem::take(&mut self.requests) {
            self.post(Parcel::Failed(connection, request));
            self.post(Parcel::Lost(connection, request));
        }
    }

    pub(super) fn is_polling(&self) -> bool {
        self.socket.config().transport == Transport::LongPoll
    }
}
