use bytes::{Buf, BufMut, Bytes};

use crate::Text;

/// One received unit, before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text frame, its UTF-8 already checked by the transport.
    Text(Text),
    /// A binary frame.
    Binary(Bytes),
}

/// Whether a frame holds text or raw bytes; the value is the WebSocket opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// UTF-8 text.
    Text = 1,
    /// Raw bytes.
    Binary = 2,
}

/// One encoded message: a complete unmasked WebSocket frame in shared bytes.
///
/// All subscribers of all transports share the one allocation: a WebSocket writes [`wire`](Self::wire) as it
/// is, every other transport takes the [`payload`](Self::payload) slice of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    wire: Bytes,
    header_len: u8,
    opcode: Opcode,
}

/// The longest header of an unmasked WebSocket frame.
const MAX_HEADER: usize = 10;

impl Frame {
    /// Encodes a text frame; `write` appends the UTF-8 text to the buffer it is given.
    ///
    /// A `capacity` that is just the length of the text saves an allocation.
    pub fn text(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::build(Opcode::Text, capacity, write)
    }

    /// Encodes a binary frame; `write` appends the bytes to the buffer it is given.
    pub fn binary(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::build(Opcode::Binary, capacity, write)
    }

    /// The whole frame as a WebSocket server sends it.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The encoded message without the WebSocket header, sharing the same bytes.
    pub fn payload(&self) -> Bytes {
        self.wire.slice(usize::from(self.header_len)..)
    }

    /// Whether it is text or binary.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// Length in bytes of the whole frame.
    pub fn len(&self) -> usize {
        self.wire.len()
    }

    /// Never true: a frame has a header at least.
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }

    fn build(opcode: Opcode, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        // The header is as long as the payload makes it, so it is put right in front of a payload that
        // starts after room for the longest one.
        let mut buffer = Vec::with_capacity(MAX_HEADER + capacity);
        buffer.extend_from_slice(&[0; MAX_HEADER]);
        write(&mut buffer);
        let payload_len = buffer.len() - MAX_HEADER;
        let header_len = match payload_len {
            0..126 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        let start = MAX_HEADER - header_len;
        let mut header = &mut buffer[start..MAX_HEADER];
        header.put_u8(0x80 | opcode as u8);
        match header_len {
            2 => header.put_u8(u8::try_from(payload_len).expect("below 126")),
            4 => {
                header.put_u8(126);
                header.put_u16(u16::try_from(payload_len).expect("at most 65535"));
            }
            _ => {
                header.put_u8(127);
                header.put_u64(payload_len as u64);
            }
        }
        let header_len = u8::try_from(header_len).expect("at most 10");
        let mut wire = Bytes::from(buffer);
        wire.advance(start);
        Self { wire, header_len, opcode }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_by_length() {
        let frame = |len: usize| Frame::text(len, |out| out.resize(out.len() + len, b'x'));
        assert_eq!(&frame(0).wire()[..], [0x81, 0]);
        assert_eq!(&frame(125).wire()[..2], [0x81, 125]);
        assert_eq!(&frame(126).wire()[..4], [0x81, 126, 0, 126]);
        assert_eq!(&frame(65535).wire()[..4], [0x81, 126, 0xFF, 0xFF]);
        assert_eq!(&frame(65536).wire()[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        for len in [0, 125, 126, 65535, 65536] {
            assert_eq!(frame(len).payload().len(), len);
        }
    }

    #[test]
    fn binary_frames_have_their_opcode() {
        let frame = Frame::binary(1, |out| out.push(7));
        assert_eq!(&frame.wire()[..], [0x82, 1, 7]);
        assert_eq!(frame.opcode(), Opcode::Binary);
        assert_eq!(&frame.payload()[..], [7]);
    }
}
