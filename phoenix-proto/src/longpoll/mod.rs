//! One long-poll session, as a pure machine (protocol §15).
//!
//! A session is a connection whose client fetches its messages by polls. [`Session`] holds what waits for
//! the next poll and decides which poll gets it; [`parse_body`] takes apart what the client posts, and
//! [`Answer`] is what it is told.
//!
//! # Contract
//!
//! * Facts go in by `handle_*`, frames by [`push`](Session::push); answers come out of
//!   [`poll_answer`](Session::poll_answer), in order, and
//!   [`poll_timeout`](Session::poll_timeout) tells when to call
//!   [`handle_timeout`](Session::handle_timeout), for which calling too early is harmless.
//! * `now` only ever comes from outside, and nothing a peer sends can panic.
//!
//! # What is guaranteed
//!
//! Within a session every frame is handed to a poll, in order. What was handed out is kept until the next poll
//! starts. When the transport has reported it [lost](Session::handle_lost) by then, or not reported it
//! [written](Session::handle_written), the same frames are handed out again, in front of newer ones. So a
//! broken connection loses nothing that the server had not written yet. What it had written is the client's:
//! the protocol has no acknowledgement beyond that.
//!
//! ```
//! use std::time::Instant;
//!
//! use phoenix_proto::Frame;
//! use phoenix_proto::longpoll::{Config, Polled, Session};
//!
//! let now = Instant::now();
//! let mut session = Session::new(Config::default(), now);
//! let poll = session.handle_poll(now);
//! assert_eq!(session.poll_answer(), None);
//! session.push(Frame::text(2, |out| out.extend_from_slice(b"[]")))?;
//! let Some((answered, Polled::Messages(frames))) = session.poll_answer() else { panic!("an answer") };
//! assert_eq!((answered, frames.len()), (poll, 1));
//! session.handle_written(poll);
//! # Ok::<(), phoenix_proto::longpoll::PushError>(())
//! ```

mod answer;
mod body;
mod session;
mod text_only;

pub use answer::{Answer, Messages};
pub use body::{BodyError, BodyFormat, MAX_LINES, parse_body};
pub use session::{Config, Ended, Overflow, PollId, Polled, PushError, Session};
pub use text_only::TextOnly;
