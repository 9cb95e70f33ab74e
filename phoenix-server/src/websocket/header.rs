//! The header of a client frame (RFC 6455 §5.2).

use super::{ProtocolError, mask::Mask};

/// The longest header of a client frame: two bytes, an eight-byte length and the mask.
pub(crate) const MAX_CLIENT_HEADER_LEN: usize = 14;

/// The longest payload of a control frame.
pub(crate) const MAX_CONTROL_LEN: usize = 125;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    /// More of the message that is under way.
    Continuation = 0x0,
    /// A message of UTF-8 text, or its first fragment.
    Text = 0x1,
    /// A message of bytes, or its first fragment.
    Binary = 0x2,
    /// The last frame in its direction.
    Close = 0x8,
    /// To be answered with a pong of the same payload.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xA,
}

impl Opcode {
    pub(crate) fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }

    fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            unknown => Err(ProtocolError::UnknownOpcode(unknown)),
        }
    }
}

/// A complete, legal header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The frame is the last one of its message.
    pub(crate) fin: bool,
    /// RSV1: the message that starts with this frame is compressed.
    pub(crate) compressed: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Mask,
    /// Length of the header itself.
    pub(crate) header_len: usize,
    pub(crate) payload_len: usize,
}

impl FrameHeader {
    /// Reads the header that `bytes` start with; `None` as long as it is incomplete.
    ///
    /// A frame of more than `max_frame_size` bytes, header included, is refused before its payload arrives.
    pub(crate) fn parse(bytes: &[u8], max_frame_size: usize) -> Result<Option<Self>, ProtocolError> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if second & MASK_BIT == 0 {
            return Err(ProtocolError::Unmasked);
        }
        let (payload_len, rest) = match second & LENGTH_BITS {
            LENGTH_IS_U16 => match rest.split_first_chunk::<2>() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            LENGTH_IS_U64 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            length => (u64::from(length), rest),
        };
        let Some(key) = rest.first_chunk::<4>() else {
            return Ok(None);
        };

        let header_len = header_len(second);
        let payload_len = usize::try_from(payload_len).unwrap_or(usize::MAX);
        if header_len.saturating_add(payload_len) > max_frame_size {
            return Err(ProtocolError::FrameTooLarge);
        }
        if first & (RSV2_BIT | RSV3_BIT) != 0 {
            return Err(ProtocolError::ReservedBits((first & RSV_BITS) >> 4));
        }
        let header = Self {
            fin: first & FIN_BIT != 0,
            compressed: first & RSV1_BIT != 0,
            opcode: Opcode::from_bits(first & OPCODE_BITS)?,
            mask: Mask::new(*key),
            header_len,
            payload_len,
        };
        header.check_opcode_rules()?;
        Ok(Some(header))
    }

    fn check_opcode_rules(self) -> Result<(), ProtocolError> {
        let starts_message = matches!(self.opcode, Opcode::Text | Opcode::Binary);
        if self.compressed && !starts_message {
            return Err(ProtocolError::UnexpectedCompression);
        }
        if self.opcode.is_control() {
            if !self.fin {
                return Err(ProtocolError::FragmentedControl);
            }
            if self.payload_len > MAX_CONTROL_LEN {
                return Err(ProtocolError::ControlTooLong);
            }
        }
        Ok(())
    }
}

/// How many bytes a header has to have, as far as `bytes` tell: 2 until the second byte is there.
pub(crate) fn required_len(bytes: &[u8]) -> usize {
    bytes.get(1).map_or(2, |&second| header_len(second))
}

fn header_len(second: u8) -> usize {
    match second & LENGTH_BITS {
        LENGTH_IS_U16 => 8,
        LENGTH_IS_U64 => MAX_CLIENT_HEADER_LEN,
        _ => 6,
    }
}

const FIN_BIT: u8 = 0x80;
const RSV1_BIT: u8 = 0x40;
const RSV2_BIT: u8 = 0x20;
const RSV3_BIT: u8 = 0x10;
const RSV_BITS: u8 = RSV1_BIT | RSV2_BIT | RSV3_BIT;
const OPCODE_BITS: u8 = 0x0f;
const MASK_BIT: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;
const LENGTH_IS_U16: u8 = 126;
const LENGTH_IS_U64: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_is_incomplete_and_the_length_is_foretold() {
        for (header, payload_len) in [
            (&[0x81, 0x85, 1, 2, 3, 4][..], 5),
            (&[0x81, 0xfe, 0x01, 0x00, 1, 2, 3, 4], 256),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 65_536),
        ] {
            for cut in 0..header.len() {
                assert_eq!(FrameHeader::parse(&header[..cut], usize::MAX), Ok(None));
            }
            let parsed = FrameHeader::parse(header, usize::MAX).unwrap().unwrap();
            assert_eq!(parsed.payload_len, payload_len);
            assert_eq!(parsed.header_len, header.len());
            assert_eq!(parsed.mask, Mask::new([1, 2, 3, 4]));
            assert_eq!(required_len(header), header.len());
        }
    }

    #[test]
    fn an_absurd_length_is_over_any_limit() {
        let mut header = [0xff; MAX_CLIENT_HEADER_LEN];
        header[0] = 0x82;

        assert_eq!(FrameHeader::parse(&header, usize::MAX - 1), Err(ProtocolError::FrameTooLarge));
    }

    #[test]
    fn a_missing_mask_is_noticed_with_the_second_byte() {
        assert_eq!(FrameHeader::parse(&[0x81, 0x7f], usize::MAX), Err(ProtocolError::Unmasked));
    }

    #[test]
    fn compression_is_announced_by_the_first_frame_of_a_message_only() {
        for first in [0xc0, 0xc8, 0xc9, 0xca] {
            assert_eq!(
                FrameHeader::parse(&[first, 0x80, 1, 2, 3, 4], usize::MAX),
                Err(ProtocolError::UnexpectedCompression),
                "first byte {first:#x}"
            );
        }
    }

    #[test]
    fn reserved_bits_are_reported_together() {
        assert_eq!(
            FrameHeader::parse(&[0xf1, 0x80, 1, 2, 3, 4], usize::MAX),
            Err(ProtocolError::ReservedBits(0b111))
        );
    }
}
