//! Frames of the server: complete, final and never masked.

use bytes::Bytes;

use super::{CloseCode, header::Opcode};

/// The longest header of a server frame.
pub(crate) const MAX_HEADER_LEN: usize = 10;

/// Writes the header of a final frame with a payload of `payload_len` bytes and returns the header's length: 2, 4 or 10.
///
/// `compressed` sets RSV1.
pub(crate) fn write_header(
    opcode: Opcode,
    compressed: bool,
    payload_len: usize,
    out: &mut [u8; MAX_HEADER_LEN],
) -> usize {
    out[0] = FIN | if compressed { RSV1 } else { 0 } | opcode as u8;
    if let Ok(short @ ..=125) = u8::try_from(payload_len) {
        out[1] = short;
        2
    } else if let Ok(medium) = u16::try_from(payload_len) {
        out[1] = 126;
        out[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        out[1] = 127;
        out[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        10
    }
}

/// A complete frame in one allocation.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut header = [0; MAX_HEADER_LEN];
    let header_len = write_header(opcode, false, payload.len(), &mut header);
    let mut frame = Vec::with_capacity(header_len + payload.len());
    frame.extend_from_slice(&header[..header_len]);
    frame.extend_from_slice(payload);
    frame.into()
}

/// The answer to a ping.
pub(crate) fn pong_frame(payload: &[u8]) -> Bytes {
    frame(Opcode::Pong, payload)
}

/// A close frame with `code` and a reason of 123 bytes at most.
pub(crate) fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    frame(Opcode::Close, &[&code.get().to_be_bytes(), reason.as_bytes()].concat())
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_takes_the_shortest_form() {
        for (payload_len, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut header = [0; MAX_HEADER_LEN];
            let length = write_header(Opcode::Text, false, payload_len, &mut header);
            assert_eq!(&header[..length], expected);
        }
    }

    #[test]
    fn compression_sets_the_first_reserved_bit() {
        let mut header = [0; MAX_HEADER_LEN];

        write_header(Opcode::Binary, true, 1, &mut header);

        assert_eq!(header[0], 0xc2);
    }

    #[test]
    fn control_frames_are_as_recorded() {
        assert_eq!(&pong_frame(b"mid")[..], b"\x8a\x03mid");
        assert_eq!(&close_frame(CloseCode::PROTOCOL_ERROR, "")[..], b"\x88\x02\x03\xea");
        assert_eq!(&close_frame(CloseCode::NORMAL, "bye")[..], b"\x88\x05\x03\xe8bye");
    }
}
