//! Long polling: how many messages come in which poll is a matter of timing.
//!
//! The recorded polls of a session say how many messages the client had after each of them. A replay that got fewer
//! polls again, a replay that already has them leaves the poll out. The messages themselves are compared per session.

use std::collections::BTreeMap;

use super::variables::request_token;
use crate::json::Json;
use crate::recording::{Event, Request, Response};
use crate::script::ConnScript;

/// A recorded poll.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    /// The recorded token of its session.
    pub(crate) session: String,
    /// Index of its response among what is expected on the connection.
    pub(crate) index: usize,
    /// Messages the client of the recording had with this poll and those before.
    pub(crate) needed: usize,
    /// Whether the connection carries nothing else.
    pub(crate) exclusive: bool,
}

/// Counts of the messages of every session, by recorded token.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    needed: BTreeMap<String, usize>,
    received: BTreeMap<String, usize>,
}

impl Sessions {
    /// Recognises a poll with messages when its request is about to be sent; `nth` counts the requests before it on the
    /// connection.
    pub(crate) fn plan(&mut self, request: &Request, lane: &ConnScript, nth: usize) -> Option<Poll> {
        let session = (request.method == "GET").then(|| request_token(request)).flatten()?;
        let is_response = |event: &Event| matches!(event, Event::Response(_));
        let mut responses =
            lane.expected.iter().enumerate().filter(|(_, expected)| is_response(&expected.event));
        let (index, expected) = responses.nth(nth)?;
        let Event::Response(response) = &expected.event else { return None };
        let messages = messages(response).filter(|messages| !messages.is_empty())?;
        let needed = self.needed.entry(session.to_owned()).or_default();
        *needed += messages.len();
        let exclusive = lane.expected.iter().filter(|expected| is_response(&expected.event)).count() == 1;
        Some(Poll { session: session.to_owned(), index, needed: *needed, exclusive })
    }

    /// Whether the messages of a poll came with the polls before.
    pub(crate) fn has(&self, poll: &Poll) -> bool {
        self.received(&poll.session) >= poll.needed
    }

    /// Counts the messages of a response.
    pub(crate) fn receive(&mut self, session: &str, count: usize) {
        *self.received.entry(session.to_owned()).or_default() += count;
    }

    fn received(&self, session: &str) -> usize {
        self.received.get(session).copied().unwrap_or_default()
    }
}

/// The messages of a long-poll response; `None` if it is none.
pub(crate) fn messages(response: &Response) -> Option<Vec<String>> {
    match Json::parse(response.content().text()?)?.get("messages")? {
        Json::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}
