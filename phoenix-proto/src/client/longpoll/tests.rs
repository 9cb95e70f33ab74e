use proptest::prelude::*;

use super::*;

fn connect(now: Instant) -> LongPoll {
    let request = ConnectRequest {
        url: "http://h/socket/longpoll?vsn=2.0.0".into(),
        auth_token: Some("secret".into()),
    };
    LongPoll::new(&request, Duration::from_secs(20), now)
}

fn open(now: Instant) -> LongPoll {
    let mut long_poll = connect(now);
    let first = request(&mut long_poll, now);
    answer(&mut long_poll, &first, r#"{"status":410,"token":"T.1","messages":[]}"#, now);
    assert_eq!(long_poll.poll_event(), Some(Event::Opened));
    long_poll
}

fn request(long_poll: &mut LongPoll, now: Instant) -> Request {
    match long_poll.poll_command(now) {
        Some(Command::Request(request)) => request,
        other => panic!("a request expected: {other:?}"),
    }
}

fn answer(long_poll: &mut LongPoll, request: &Request, body: &str, now: Instant) {
    long_poll.handle_response(request.id, Some(body.as_bytes()), now);
}

fn closed(long_poll: &mut LongPoll) -> Closed {
    match long_poll.poll_event() {
        Some(Event::Closed(closed)) => closed,
        other => panic!("the end expected: {other:?}"),
    }
}

fn line(number: usize) -> Outgoing {
    Outgoing::Text(format!("[{number}]").into())
}

#[test]
fn the_first_answer_opens_the_session() {
    let now = start();
    let mut long_poll = connect(now);
    let first = request(&mut long_poll, now);
    assert_eq!((first.method, &*first.url), (Method::Get, "http://h/socket/longpoll?vsn=2.0.0"));
    let headers = [("accept", "application/json".into()), ("x-phoenix-authtoken", "secret".into())];
    assert_eq!(first.headers, headers);
    assert_eq!(long_poll.poll_command(now), None);
    answer(&mut long_poll, &first, r#"{"status":410,"token":"T.1","messages":[]}"#, now);
    assert_eq!(long_poll.poll_event(), Some(Event::Opened));
    assert_eq!(&*request(&mut long_poll, now).url, "http://h/socket/longpoll?vsn=2.0.0&token=T.1");
}

#[test]
fn messages_come_in_order_and_the_poll_goes_on() {
    let now = start();
    let mut long_poll = open(now);
    let poll = request(&mut long_poll, now);
    answer(&mut long_poll, &poll, r#"{"status":200,"token":"T.1","messages":["[1,\"a\"]",[2]]}"#, now);
    for text in ["[1,\"a\"]", "[2]"] {
        assert_eq!(long_poll.poll_event(), Some(Event::Message(Incoming::Text(text.into()))));
    }
    let poll = request(&mut long_poll, now);
    answer(&mut long_poll, &poll, r#"{"status":204,"token":"T.1","messages":[]}"#, now);
    assert_eq!(long_poll.poll_event(), None);
    assert_eq!(request(&mut long_poll, now).method, Method::Get);
}

#[test]
fn what_is_sent_together_leaves_together_and_one_request_at_a_time() {
    let now = start();
    let mut long_poll = open(now);
    let _poll = request(&mut long_poll, now);
    for number in 0..150 {
        long_poll.send(line(number));
    }
    let first = request(&mut long_poll, now);
    assert_eq!(first.headers, [("content-type", "application/x-ndjson".into())]);
    assert_eq!(first.body.split(|byte| *byte == b'\n').count(), 100);
    assert_eq!(long_poll.poll_command(now), None);
    long_poll.send(Outgoing::Binary(Bytes::from_static(b"\xff")));
    answer(&mut long_poll, &first, r#"{"status":200}"#, now);
    let second = request(&mut long_poll, now);
    let lines: Vec<_> = second.body.split(|byte| *byte == b'\n').collect();
    assert_eq!((lines.len(), lines[0], lines[50]), (51, &b"[100]"[..], &b"/w=="[..]));
}

#[test]
fn objects_leave_alone() {
    let now = start();
    let mut long_poll = open(now);
    let _poll = request(&mut long_poll, now);
    long_poll.send(Outgoing::Text("{}".into()));
    long_poll.send(line(1));
    let first = request(&mut long_poll, now);
    assert_eq!((&*first.body, &*first.headers[0].1), (&b"{}"[..], "application/json"));
    answer(&mut long_poll, &first, r#"{"status":200}"#, now);
    assert_eq!(&*request(&mut long_poll, now).body, b"[1]");
}

#[test]
fn large_lines_are_spread_over_requests() {
    let now = start();
    let mut long_poll = open(now);
    let _poll = request(&mut long_poll, now);
    let large = Outgoing::Text(format!("[{}]", "1".repeat(MAX_BATCH * 2 / 3)).into());
    long_poll.send(large.clone());
    long_poll.send(large);
    assert!(request(&mut long_poll, now).body.len() < MAX_BATCH);
}

#[test]
fn every_failure_has_its_close_code() {
    let now = start();
    for (body, code) in [
        (Some(r#"{"status":410,"token":"T.2"}"#), 3410),
        (Some(r#"{"status":403}"#), 1008),
        (Some(r#"{"status":500}"#), 1011),
        (Some(r#"{"status":299}"#), 1011),
        (Some("gateway error"), 1011),
        (None, 1011),
    ] {
        let mut long_poll = open(now);
        let poll = request(&mut long_poll, now);
        long_poll.handle_response(poll.id, body.map(str::as_bytes), now);
        let closed = closed(&mut long_poll);
        assert_eq!((closed.code, closed.failed), (code, true), "{body:?}");
        assert_eq!(long_poll.poll_command(now), None);
    }
}

#[test]
fn a_session_without_a_token_is_none() {
    let now = start();
    for body in [r#"{"status":410}"#, r#"{"status":200,"messages":[]}"#] {
        let mut long_poll = connect(now);
        let first = request(&mut long_poll, now);
        answer(&mut long_poll, &first, body, now);
        assert_eq!(closed(&mut long_poll).code, 1011, "{body}");
    }
}

#[test]
fn a_refused_post_ends_the_connection() {
    let now = start();
    let mut long_poll = open(now);
    let poll = request(&mut long_poll, now);
    long_poll.send(line(1));
    let post = request(&mut long_poll, now);
    answer(&mut long_poll, &post, r#"{"status":410}"#, now);
    assert_eq!(closed(&mut long_poll).code, 1011);
    assert_eq!(long_poll.poll_command(now), Some(Command::Abort(poll.id)));
    answer(&mut long_poll, &poll, r#"{"status":200,"messages":["[1]"]}"#, now);
    assert_eq!(long_poll.poll_event(), None);
}

#[test]
fn a_request_takes_its_time_at_most() {
    let now = start();
    let mut long_poll = open(now);
    let poll = request(&mut long_poll, now);
    let deadline = now + Duration::from_secs(20);
    assert_eq!(long_poll.poll_timeout(), Some(deadline));
    long_poll.handle_timeout(now);
    assert_eq!(long_poll.poll_event(), None);
    long_poll.handle_timeout(deadline);
    assert_eq!(closed(&mut long_poll).code, 1005);
    assert_eq!(long_poll.poll_command(deadline), Some(Command::Abort(poll.id)));
    assert_eq!(long_poll.poll_timeout(), None);
}

#[test]
fn closing_sends_what_is_waiting_first() {
    let now = start();
    let mut long_poll = open(now);
    let _poll = request(&mut long_poll, now);
    long_poll.send(line(1));
    long_poll.close();
    assert_eq!(long_poll.poll_event(), None);
    let post = request(&mut long_poll, now);
    answer(&mut long_poll, &post, r#"{"status":200}"#, now);
    assert_eq!(closed(&mut long_poll), Closed::by_frame(Some(1000), ""));
    let mut idle = open(now);
    idle.close();
    assert_eq!(closed(&mut idle).code, 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_sent_once_and_in_order(
        lines in prop::collection::vec("[\\[{][a-z]{0,9}", 0..250), early in 0..250_usize,
    ) {
        let now = start();
        let mut long_poll = open(now);
        let _poll = request(&mut long_poll, now);
        let mut posted: Vec<String> = Vec::new();
        let (first, rest) = lines.split_at(early.min(lines.len()));
        for part in [first, rest] {
            for line in part {
                long_poll.send(Outgoing::Text(line.as_str().into()));
            }
            while let Some(Command::Request(post)) = long_poll.poll_command(now) {
                let body = std::str::from_utf8(&post.body).unwrap();
                posted.extend(body.split('\n').map(str::to_owned));
                answer(&mut long_poll, &post, r#"{"status":200}"#, now);
            }
        }
        prop_assert_eq!(posted, lines);
    }
}

/// Where the virtual time of a test begins.
#[expect(clippy::disallowed_methods, reason = "an instant cannot be made up; tests only add to it")]
fn start() -> Instant {
    Instant::now()
}
