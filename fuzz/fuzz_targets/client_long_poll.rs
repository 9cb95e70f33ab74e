//! Any answers in any order: the long-poll transport never panics, has one request of each method in flight at
//! most, and says nothing after its end.

#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use phoenix_proto::client::longpoll::{Command, Event, LongPoll, Method, RequestId};
use phoenix_proto::client::{Command as SocketCommand, Config, Outgoing, Socket, Transport};

#[derive(Debug, Arbitrary)]
enum Input {
    Text(String),
    Binary(Vec<u8>),
    /// An answer to the poll or the post in flight.
    Answer {
        post: bool,
        status: u16,
        token: bool,
        messages: Vec<String>,
    },
    Garbage {
        post: bool,
        body: Option<Vec<u8>>,
    },
    Close,
    Time {
        millis: u16,
    },
}

fuzz_target!(|inputs: Vec<Input>| {
    let mut now = Instant::now();
    let mut config = Config::new("ws://h/socket");
    config.transport = Transport::LongPoll;
    let mut socket = Socket::new(config);
    socket.connect(now);
    let Some(SocketCommand::Connect { request, .. }) = socket.poll_command() else { unreachable!() };
    let mut long_poll = LongPoll::new(&request, Duration::from_secs(20), now);
    let mut in_flight: [Option<RequestId>; 2] = [None, None];
    let mut closed = false;
    for input in inputs {
        while let Some(command) = long_poll.poll_command(now) {
            match command {
                Command::Request(request) => {
                    let lane = &mut in_flight[usize::from(request.method == Method::Post)];
                    assert_eq!(*lane, None);
                    *lane = Some(request.id);
                }
                Command::Abort(id) => {
                    in_flight.iter_mut().for_each(|lane| *lane = lane.filter(|it| *it != id))
                }
            }
        }
        while let Some(event) = long_poll.poll_event() {
            assert!(!closed);
            closed = matches!(event, Event::Closed(_));
        }
        match input {
            Input::Text(text) => long_poll.send(Outgoing::Text(text.into())),
            Input::Binary(data) => long_poll.send(Outgoing::Binary(data.into())),
            Input::Answer { post, status, token, messages } => {
                let token = token.then_some("T");
                let body = serde_json::json!({ "status": status, "token": token, "messages": messages });
                if let Some(id) = in_flight[usize::from(post)].take() {
                    long_poll.handle_response(id, Some(body.to_string().as_bytes()), now);
                }
            }
            Input::Garbage { post, body } => {
                if let Some(id) = in_flight[usize::from(post)].take() {
                    long_poll.handle_response(id, body.as_deref(), now);
                }
            }
            Input::Close => long_poll.close(),
            Input::Time { millis } => {
                now += Duration::from_millis(millis.into());
                long_poll.handle_timeout(now);
            }
        }
    }
});
