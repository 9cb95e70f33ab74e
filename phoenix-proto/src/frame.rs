use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};
use thiserror::Error;

use crate::Text;

/// One received unit, before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text frame, its UTF-8 already checked by the transport.
    Text(Text),
    /// A binary frame.
    Binary(Bytes),
}

/// What a frame holds; the value is the WebSocket opcode. Messages of channels are text or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// UTF-8 text.
    Text = 1,
    /// Raw bytes.
    Binary = 2,
    /// A ping, from a socket without channels (FEATURES C14).
    Ping = 9,
    /// A pong, from a socket without channels (FEATURES C14).
    Pong = 10,
}

/// A ping or pong with more than the 125 bytes that RFC 6455 §5.5 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a ping or pong holds 125 bytes at most, not {0}")]
pub struct ControlTooLong(pub usize);

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

/// The longest payload of a ping or pong.
const MAX_CONTROL: usize = 125;

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

    /// A ping with a payload, which may be empty (FEATURES C14).
    ///
    /// # Errors
    /// [`ControlTooLong`] for more than 125 bytes.
    pub fn ping(payload: impl AsRef<[u8]>) -> Result<Self, ControlTooLong> {
        Self::control(Opcode::Ping, payload.as_ref())
    }

    /// A pong with a payload, which may be empty (FEATURES C14).
    ///
    /// # Errors
    /// [`ControlTooLong`] for more than 125 bytes.
    pub fn pong(payload: impl AsRef<[u8]>) -> Result<Self, ControlTooLong> {
        Self::control(Opcode::Pong, payload.as_ref())
    }

    /// The whole frame as a WebSocket server sends it.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The encoded message without the WebSocket header, sharing the same bytes.
    pub fn payload(&self) -> Bytes {
        self.wire.slice(usize::from(self.header_len)..)
    }

    /// The encoded message as text; of a binary frame, what is no UTF-8 is replaced.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        let payload = &self.wire[usize::from(self.header_len)..];
        match std::str::from_utf8(payload) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(payload),
        }
    }

    /// What it holds.
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

    fn control(opcode: Opcode, payload: &[u8]) -> Result<Self, ControlTooLong> {
        if payload.len() > MAX_CONTROL {
            return Err(ControlTooLong(payload.len()));
        }
        Ok(Self::build(opcode, payload.len(), |out| out.extend_from_slice(payload)))
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

impl From<&str> for Frame {
    fn from(text: &str) -> Self {
        Self::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Text> for Frame {
    fn from(text: Text) -> Self {
        text.as_str().into()
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        Self::binary(bytes.len(), |out| out.extend_from_slice(bytes))
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        bytes.as_ref().into()
    }
}

impl From<Incoming> for Frame {
    /// The frame that says the same.
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Text(text) => text.into(),
            Incoming::Binary(bytes) => bytes.into(),
        }
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
    fn control_frames_are_short() {
        assert_eq!(&Frame::ping("").unwrap().wire()[..], [0x89, 0]);
        assert_eq!(&Frame::pong("abc").unwrap().wire()[..], b"\x8a\x03abc");
        assert_eq!(Frame::ping([0; 125]).unwrap().len(), 127);
        assert_eq!(Frame::pong([0; 126]), Err(ControlTooLong(126)));
    }

    #[test]
    fn what_is_echoed_is_what_came() {
        assert_eq!(&Frame::from(Incoming::Text("héllo".into())).wire()[..], b"\x81\x06h\xc3\xa9llo");
        assert_eq!(
            &Frame::from(Incoming::Binary(Bytes::from_static(&[0, 255]))).wire()[..],
            [0x82, 2, 0, 255]
        );
    }

    #[test]
    fn binary_frames_have_their_opcode() {
        let frame = Frame::binary(1, |out| out.push(7));
        assert_eq!(&frame.wire()[..], [0x82, 1, 7]);
        assert_eq!(frame.opcode(), Opcode::Binary);
        assert_eq!(&frame.payload()[..], [7]);
    }
}
