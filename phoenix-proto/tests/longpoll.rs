//! The long-poll session of protocol §15 in virtual time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use phoenix_proto::Frame;
use phoenix_proto::longpoll::{Config, Ended, Overflow, PollId, Polled, PushError, Session};
use proptest::prelude::*;

#[test]
fn a_poll_gets_everything_that_waits() {
    let mut bench = Bench::default();
    bench.push("a");
    bench.push("b");
    let poll = bench.poll();
    assert_eq!(bench.answers(), [(poll, texts(["a", "b"]))]);
    bench.session.handle_written(poll);
    let poll = bench.poll();
    assert_eq!(bench.answers(), []);
    bench.push("c");
    assert_eq!(bench.answers(), [(poll, texts(["c"]))]);
}

#[test]
fn a_poll_ends_with_its_window() {
    let mut bench = Bench::default();
    let poll = bench.poll();
    bench.wait(9_999);
    assert_eq!(bench.answers(), []);
    bench.wait(1);
    assert_eq!(bench.answers(), [(poll, None)]);
    bench.push("a");
    assert_eq!(bench.answers(), []);
}

#[test]
fn the_newest_poll_wins() {
    let mut bench = Bench::default();
    let old = bench.poll();
    bench.wait(1_000);
    let new = bench.poll();
    bench.push("a");
    assert_eq!(bench.answers(), [(new, texts(["a"]))]);
    bench.push("b");
    assert_eq!(bench.answers(), []);
    bench.wait(9_000);
    assert_eq!(bench.answers(), [(old, None)]);
}

#[test]
fn what_was_lost_is_handed_out_again() {
    let mut bench = Bench::default();
    bench.push("a");
    let lost = bench.poll();
    assert_eq!(bench.answers(), [(lost, texts(["a"]))]);
    bench.session.handle_lost(lost);
    bench.push("b");
    let poll = bench.poll();
    assert_eq!(bench.answers(), [(poll, texts(["a", "b"]))]);
    bench.session.handle_lost(lost);
    bench.session.handle_written(poll);
    let third = bench.poll();
    bench.session.handle_lost(poll);
    assert_eq!(bench.answers(), []);
    bench.push("c");
    assert_eq!(bench.answers(), [(third, texts(["c"]))]);
}

#[test]
fn what_was_written_can_be_lost_until_the_next_poll() {
    let mut bench = Bench::default();
    bench.push("a");
    let poll = bench.poll();
    assert_eq!(bench.answers(), [(poll, texts(["a"]))]);
    bench.session.handle_written(poll);
    bench.push("b");
    bench.session.handle_lost(poll);
    let next = bench.poll();
    assert_eq!(bench.answers(), [(next, texts(["a", "b"]))]);
}

#[test]
fn a_next_poll_takes_over_what_is_neither_written_nor_lost() {
    let mut bench = Bench::default();
    bench.push("a");
    let first = bench.poll();
    assert_eq!(bench.answers(), [(first, texts(["a"]))]);
    let second = bench.poll();
    assert_eq!(bench.answers(), [(second, texts(["a"]))]);
    bench.session.handle_written(first);
    let third = bench.poll();
    let fourth = bench.poll();
    assert_eq!(bench.answers(), [(third, None), (fourth, texts(["a"]))]);
}

#[test]
fn a_lost_poll_does_not_wait_any_more() {
    let mut bench = Bench::default();
    let poll = bench.poll();
    bench.session.handle_lost(poll);
    bench.push("a");
    bench.wait(10_000);
    assert_eq!(bench.answers(), []);
}

#[test]
fn without_polls_the_session_ends() {
    // The check comes every 15 s; a poll exactly 15 s before it is recent enough.
    for (last_poll, end) in [(0, 30_000), (1, 30_000), (14_999, 30_000), (15_001, 45_000)] {
        let mut bench = Bench::default();
        bench.wait(last_poll);
        let poll = bench.poll();
        bench.session.handle_lost(poll);
        bench.wait(end - last_poll - 1);
        assert_eq!(bench.session.ended(), None, "{last_poll}");
        bench.wait(1);
        assert_eq!(bench.session.ended(), Some(Ended::Inactive), "{last_poll}");
        assert_eq!(bench.session.poll_timeout(), None);
        assert_eq!(bench.session.push(frame("a")), Err(PushError::Over));
    }
}

#[test]
fn a_late_check_is_as_good_as_one_in_time() {
    let mut bench = Bench::default();
    bench.wait(1);
    bench.poll();
    bench.now += Duration::from_millis(15_999);
    bench.session.handle_timeout(bench.now);
    assert_eq!(bench.session.ended(), None);
}

#[test]
fn too_much_ends_the_session() {
    for limit in [Limit::Frames, Limit::Bytes] {
        let mut bench = Bench::limited(limit, Overflow::End);
        bench.push("a");
        let poll = bench.poll();
        assert_eq!(bench.answers(), [(poll, texts(["a"]))]);
        // What is handed out counts until it is written.
        bench.push("b");
        assert_eq!(bench.session.push(frame("c")), Err(PushError::Full), "{limit:?}");
        assert_eq!(bench.session.ended(), Some(Ended::Overflow));
    }
}

#[test]
fn too_much_is_dropped_on_request() {
    let mut bench = Bench::limited(Limit::Bytes, Overflow::Drop);
    bench.push("a");
    bench.push("b");
    assert_eq!(bench.session.push(frame("c")), Err(PushError::Full));
    assert_eq!((bench.session.dropped(), bench.session.ended()), (1, None));
    let poll = bench.poll();
    assert_eq!(bench.answers(), [(poll, texts(["a", "b"]))]);
    bench.session.handle_written(poll);
    bench.push("d");
}

#[test]
fn binary_is_refused() {
    let mut bench = Bench::default();
    let binary = |data: &'static [u8]| Frame::binary(data.len(), |out| out.extend_from_slice(data));
    assert_eq!(bench.session.push(binary(b"\x01\xff")), Err(PushError::Binary));
    assert_eq!(bench.session.push(binary(b"\x01\x02")), Err(PushError::Binary));
    assert_eq!(bench.session.push(Frame::ping("").unwrap()), Err(PushError::Control));
    assert_eq!(bench.session.dropped(), 3);
    bench.poll();
    assert_eq!(bench.answers(), []);
}

#[test]
fn endless_windows_are_no_problem() {
    let mut config = Config::default();
    config.window = Duration::MAX;
    let now = start();
    let mut session = Session::new(config, now);
    session.handle_poll(now);
    session.handle_timeout(now + Duration::from_secs(86_400));
    assert_eq!((session.poll_answer(), session.ended()), (None, None));
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    Poll,
    /// The client got its answer, or its connection broke.
    Resolve {
        written: bool,
    },
    Wait(u64),
}

proptest! {
    /// A client that polls again only after its answer, written or lost, gets every message once, in order.
    #[test]
    fn every_message_arrives_once(steps in prop::collection::vec(step(), 0..200)) {
        let mut bench = Bench::default();
        let (mut sent, mut received) = (0, Vec::new());
        let mut open: Option<(PollId, Option<Vec<String>>)> = None;
        for step in steps {
            match step {
                Step::Push => {
                    bench.push(&sent.to_string());
                    sent += 1;
                }
                Step::Poll if open.is_none() => open = Some((bench.poll(), None)),
                Step::Resolve { written } => match open.take() {
                    Some((poll, Some(messages))) if written => {
                        bench.session.handle_written(poll);
                        received.extend(messages);
                    }
                    Some((poll, None)) if written => open = Some((poll, None)),
                    Some((poll, _)) => bench.session.handle_lost(poll),
                    None => {}
                },
                Step::Wait(millis) => bench.wait(millis),
                Step::Poll => {}
            }
            for (poll, messages) in bench.answers() {
                prop_assert_eq!(open.as_ref().map(|(open, _)| *open), Some(poll));
                open = Some((poll, Some(messages.unwrap_or_default())));
            }
            if bench.session.ended().is_some() {
                return Ok(());
            }
        }
        if let Some((poll, _)) = open {
            bench.session.handle_lost(poll);
        }
        bench.poll();
        received.extend(bench.answers().into_iter().filter_map(|(_, messages)| messages).flatten());
        prop_assert_eq!(received, (0..sent).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    /// Whatever the client does, every poll that is not lost is answered once, at the end of its window at the latest.
    #[test]
    fn every_poll_is_answered_once(steps in prop::collection::vec(step(), 0..200)) {
        let mut bench = Bench::default();
        let mut open = BTreeSet::new();
        for step in steps {
            match step {
                Step::Push => { let _ = bench.session.push(frame("x")); }
                Step::Poll => { open.insert(bench.poll()); }
                Step::Resolve { .. } => {
                    if let Some(poll) = open.iter().next().copied() {
                        open.remove(&poll);
                        bench.session.handle_lost(poll);
                    }
                }
                Step::Wait(millis) => bench.wait(millis),
            }
            for (poll, _) in bench.answers() {
                prop_assert!(open.remove(&poll));
            }
        }
        bench.wait(10_000);
        for (poll, _) in bench.answers() {
            prop_assert!(open.remove(&poll));
        }
        prop_assert!(open.is_empty());
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Push),
        3 => Just(Step::Poll),
        3 => any::<bool>().prop_map(|written| Step::Resolve { written }),
        1 => (0..12_000_u64).prop_map(Step::Wait),
    ]
}

struct Bench {
    session: Session,
    now: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Frames,
    Bytes,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Bench {
    fn new(config: Config) -> Self {
        let now = start();
        Self { session: Session::new(config, now), now }
    }

    /// Room for two frames of one letter.
    fn limited(limit: Limit, overflow: Overflow) -> Self {
        let mut config = Config::default();
        config.overflow = overflow;
        match limit {
            Limit::Frames => config.max_frames = 2,
            Limit::Bytes => config.max_bytes = 2 * frame("a").len(),
        }
        Self::new(config)
    }

    fn push(&mut self, text: &str) {
        self.session.push(frame(text)).unwrap();
    }

    fn poll(&mut self) -> PollId {
        self.session.handle_poll(self.now)
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.session.poll_timeout().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.session.handle_timeout(deadline);
        }
        self.now = end;
        self.session.handle_timeout(end);
    }

    /// The answers since the last time: the texts of messages, or nothing.
    fn answers(&mut self) -> Vec<(PollId, Option<Vec<String>>)> {
        std::iter::from_fn(|| self.session.poll_answer())
            .map(|(poll, polled)| match polled {
                Polled::Messages(frames) => (poll, texts(frames.iter().map(text))),
                Polled::NoContent => (poll, None),
            })
            .collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "an instant cannot be made up; tests only add to it")]
fn start() -> Instant {
    Instant::now()
}

#[expect(clippy::unnecessary_wraps, reason = "what a poll with messages is compared with")]
fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Option<Vec<String>> {
    Some(texts.into_iter().map(Into::into).collect())
}

fn text(frame: &Frame) -> String {
    String::from_utf8(frame.payload().to_vec()).unwrap()
}

fn frame(text: &str) -> Frame {
    Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
}
