//! Close codes and the answer to a peer's close frame.

use std::fmt;

/// The status code of a close frame (RFC 6455 §7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled; phoenix.js does not reconnect.
    pub(crate) const NORMAL: Self = Self(1000);
    /// Forced disconnect.
    pub(crate) const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol, or was silent for too long.
    pub(crate) const PROTOCOL_ERROR: Self = Self(1002);
    /// A message is not what its type promises, such as text that is not UTF-8.
    pub(crate) const INVALID_DATA: Self = Self(1007);
    /// A frame that is legal but pointless.
    pub(crate) const POLICY_VIOLATION: Self = Self(1008);
    /// A frame or a message is over a limit.
    pub(crate) const TOO_BIG: Self = Self(1009);
    /// The connection cannot go on, as after a message that cannot be decoded.
    pub(crate) const INTERNAL_ERROR: Self = Self(1011);
    /// The server is draining.
    pub(crate) const RESTART: Self = Self(1012);
    /// The client is too slow for what it subscribed to.
    pub(crate) const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code of a received frame, whether it may be sent or not.
    pub(crate) const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The code as it is on the wire.
    pub(crate) const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The code to answer a peer's close frame with; the peer's own code is never echoed.
///
/// 1000 for the codes a peer may send and for none at all, 1002 for the reserved ones (protocol §8.6).
pub(crate) fn close_answer(received: Option<CloseCode>) -> CloseCode {
    match received.map(CloseCode::get) {
        None | Some(1000..=1003 | 1007..=1011 | 3000..) => CloseCode::NORMAL,
        Some(0..=999 | 1004..=1006 | 1012..=2999) => CloseCode::PROTOCOL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_turn_at_the_bounds_of_the_reserved_ranges() {
        for (received, answer) in [
            (0, 1002),
            (999, 1002),
            (1000, 1000),
            (1003, 1000),
            (1004, 1002),
            (1006, 1002),
            (1007, 1000),
            (1011, 1000),
            (1012, 1002),
            (2999, 1002),
            (3000, 1000),
            (u16::MAX, 1000),
        ] {
            assert_eq!(close_answer(Some(CloseCode::new(received))).get(), answer, "answer to {received}");
        }
    }

    #[test]
    fn a_close_without_code_is_answered_with_1000() {
        assert_eq!(close_answer(None), CloseCode::NORMAL);
    }
}
