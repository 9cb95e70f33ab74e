//! What a peer can do wrong.

use thiserror::Error;

use super::CloseCode;

/// A violation that ends the connection with [`ProtocolError::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ProtocolError {
    #[error("reserved bits {0:#05b} are set")]
    ReservedBits(u8),
    #[error("unknown opcode {0}")]
    UnknownOpcode(u8),
    #[error("client frame without mask")]
    Unmasked,
    #[error("fragmented control frame")]
    FragmentedControl,
    #[error("control frame with more than 125 bytes")]
    ControlTooLong,
    #[error("close frame with a payload of one byte")]
    TruncatedCloseCode,
    #[error("close reason is not UTF-8")]
    InvalidCloseReason,
    #[error("continuation of no message")]
    UnexpectedContinuation,
    #[error("new message inside of a fragmented one")]
    UnexpectedMessage,
    #[error("compressed frame without negotiated compression")]
    UnexpectedCompression,
    #[error("text message is not UTF-8")]
    InvalidText,
    #[error("compressed message is corrupt")]
    InvalidCompression,
    #[error("continuation that is empty and not the last")]
    EmptyContinuation,
    #[error("frame is larger than allowed")]
    FrameTooLarge,
    #[error("fragmented message is larger than allowed")]
    MessageTooLarge,
    #[error("message inflates to more than allowed")]
    InflatedTooLarge,
}

impl ProtocolError {
    /// The code to close the connection with (protocol §8.6).
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits(_)
            | Self::UnknownOpcode(_)
            | Self::Unmasked
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::TruncatedCloseCode
            | Self::InvalidCloseReason
            | Self::UnexpectedContinuation
            | Self::UnexpectedMessage
            | Self::UnexpectedCompression => CloseCode::PROTOCOL_ERROR,
            Self::InvalidText | Self::InvalidCompression => CloseCode::INVALID_DATA,
            Self::EmptyContinuation => CloseCode::POLICY_VIOLATION,
            Self::FrameTooLarge | Self::MessageTooLarge | Self::InflatedTooLarge => CloseCode::TOO_BIG,
        }
    }
}
