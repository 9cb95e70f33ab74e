use phoenix_proto::server::CloseCode;
use phoenix_proto::{Frame, Text};

/// What a callback of a [`RawSocket`](crate::RawSocket) wants to happen next (FEATURES C9–C14).
///
/// Frames are made [`from`](Frame) text, bytes or what was received, pings and pongs by [`Frame::ping`] and [`Frame::pong`].
///
/// ```
/// use phoenix_server::{CloseCode, Frame, RawFlow};
///
/// let go_on = RawFlow::CONTINUE;
/// let answer = RawFlow::reply("hello");
/// let several = RawFlow::push(vec![1, 2, 3]).and("text").and(Frame::ping("are you there")?);
/// let end = RawFlow::push("good-bye").and_stop();
/// let end_with_code = RawFlow::CONTINUE.and_close(CloseCode::new(4001));
/// # Ok::<(), phoenix_server::ControlTooLong>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawFlow {
    /// In place, because there is mostly one.
    pub(super) first: Option<Frame>,
    pub(super) more: Vec<Frame>,
    pub(super) close: Option<Close>,
}

/// How a [`RawSocket`](crate::RawSocket) closes its connection (FEATURES C13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    code: CloseCode,
    reason: Text,
}

/// What a close frame holds besides its code (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

impl RawFlow {
    /// Go on, and send nothing (FEATURES C9).
    pub const CONTINUE: Self = Self { first: None, more: Vec::new(), close: None };

    /// Send a frame as an answer (FEATURES C10). That an answer is a success or a failure, as Phoenix has it, makes no
    /// difference to what is sent.
    pub fn reply(frame: impl Into<Frame>) -> Self {
        Self::push(frame)
    }

    /// Send a frame (FEATURES C11).
    pub fn push(frame: impl Into<Frame>) -> Self {
        Self { first: Some(frame.into()), ..Self::CONTINUE }
    }

    /// Send these frames, in this order.
    pub fn push_all(frames: impl IntoIterator<Item = Frame>) -> Self {
        let mut frames = frames.into_iter();
        Self { first: frames.next(), more: frames.collect(), close: None }
    }

    /// Close the connection in order: with 1000, after which phoenix.js and others do not reconnect (FEATURES C12).
    pub fn stop() -> Self {
        Self::CONTINUE.and_stop()
    }

    /// Close the connection with a code (FEATURES C13).
    pub fn close(close: impl Into<Close>) -> Self {
        Self::CONTINUE.and_close(close)
    }

    /// Send one more frame.
    pub fn and(mut self, frame: impl Into<Frame>) -> Self {
        match &self.first {
            None => self.first = Some(frame.into()),
            Some(_) => self.more.push(frame.into()),
        }
        self
    }

    /// Then close the connection with 1000 (FEATURES C12).
    pub fn and_stop(self) -> Self {
        self.and_close(CloseCode::NORMAL)
    }

    /// Then close the connection with a code (FEATURES C13).
    pub fn and_close(mut self, close: impl Into<Close>) -> Self {
        self.close = Some(close.into());
        self
    }
}

impl Close {
    /// A code with a reason for people to read, of which the first 123 bytes are sent. The code is sent as it is; RFC 6455 §7.4
    /// says which may be.
    pub fn new(code: CloseCode, reason: impl Into<Text>) -> Self {
        let reason = reason.into();
        let end = (0..=MAX_REASON.min(reason.len())).rfind(|&end| reason.is_char_boundary(end));
        let reason = reason.slice_ref(&reason[..end.unwrap_or_default()]);
        Self { code, reason }
    }

    /// The code.
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason; empty if there is none.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { code, reason: Text::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_two_characters() {
        let reason = format!("{}é", "x".repeat(122));
        assert_eq!(Close::new(CloseCode::NORMAL, reason.as_str()).reason(), &reason[..122]);
        assert_eq!(Close::new(CloseCode::NORMAL, "short").reason(), "short");
    }

    #[test]
    fn frames_keep_their_order() {
        let flow = RawFlow::CONTINUE.and("a").and("b").and("c").and_stop();
        assert_eq!(flow, RawFlow::push_all(["a", "b", "c"].map(Frame::from)).and_close(CloseCode::NORMAL));
        assert_eq!(RawFlow::push_all([]), RawFlow::CONTINUE);
    }
}
