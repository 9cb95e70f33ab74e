//! The answer to a peer's close frame.

use phoenix_proto::server::CloseCode;

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
