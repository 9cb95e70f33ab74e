//! WebSocket frames by hand: also those that no library would send or accept.

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress};

use crate::recording::{Frame, PartialFrame, Payload};

/// Masking key of the frames of a client: any will do, a fixed one makes replays repeatable.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a confused client sends on an upgraded connection.
const HTTP_REQUEST: &[u8; 18] = b"GET / HTTP/1.1\r\n\r\n";

/// A message may inflate to this many bytes.
const INFLATE_LIMIT: usize = 64 * 1024 * 1024;

/// Appends a frame exactly as described; the payload must be complete.
pub(crate) fn encode(frame: &Frame, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len() as u64;
    encode_header(frame.opcode, frame.fin, frame.rsv, frame.masked, length, out);
    let start = out.len();
    out.extend_from_slice(payload);
    if frame.masked {
        apply_mask(&mut out[start..], MASK);
    }
}

/// Appends the header and the first payload bytes of a frame that will never be completed.
///
/// An HTTP request where a frame should be is recorded as such a frame, too: its first two letters say so.
pub(crate) fn encode_partial(partial: &PartialFrame, out: &mut Vec<u8>) {
    let [first, second, ..] = HTTP_REQUEST;
    if (partial.opcode, partial.declared_length) == (first & 15, u64::from(*second)) {
        return out.extend(HTTP_REQUEST.iter().take(2 + partial.have));
    }
    encode_header(partial.opcode, true, 0, true, partial.declared_length, out);
    out.extend(std::iter::repeat_n(b'x', partial.have));
}

fn encode_header(opcode: u8, fin: bool, rsv: u8, masked: bool, length: u64, out: &mut Vec<u8>) {
    out.push(u8::from(fin) << 7 | (rsv & 7) << 4 | opcode & 15);
    let mask_bit = u8::from(masked) << 7;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(mask_bit | short),
        (_, Ok(medium)) => {
            out.push(mask_bit | 0x7e);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(mask_bit | 0x7f);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    if masked {
        out.extend_from_slice(&MASK);
    }
}

fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Takes the first complete frame off the buffer.
pub(crate) fn decode(buffer: &mut BytesMut) -> Option<Frame> {
    let header = Header::parse(buffer)?;
    let length = usize::try_from(header.length).ok()?;
    if buffer.len() < header.size.checked_add(length)? {
        return None;
    }
    buffer.advance(header.size);
    let mut payload = buffer.split_to(length);
    if let Some(mask) = header.mask {
        apply_mask(&mut payload, mask);
    }
    Some(Frame {
        opcode: header.opcode,
        fin: header.fin,
        rsv: header.rsv,
        masked: header.mask.is_some(),
        payload: Payload::Whole(payload.freeze()),
        inflated: None,
    })
}

/// What the rest of a buffer without a complete frame amounts to.
pub(crate) fn partial(buffer: &[u8]) -> Option<PartialFrame> {
    let header = Header::parse(buffer)?;
    Some(PartialFrame {
        opcode: header.opcode,
        declared_length: header.length,
        have: buffer.len() - header.size,
    })
}

struct Header {
    opcode: u8,
    fin: bool,
    rsv: u8,
    mask: Option<[u8; 4]>,
    length: u64,
    size: usize,
}

impl Header {
    fn parse(buffer: &[u8]) -> Option<Self> {
        let (first, second) = (*buffer.first()?, *buffer.get(1)?);
        let (length, mut size) = match second & 127 {
            126 => (u64::from(u16::from_be_bytes(*buffer.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*buffer.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let mut mask = None;
        if second & 128 != 0 {
            mask = Some(*buffer.get(size..)?.first_chunk()?);
            size += 4;
        }
        Some(Self { opcode: first & 15, fin: first & 128 != 0, rsv: first >> 4 & 7, mask, length, size })
    }
}

/// Undoes `permessage-deflate` in one direction of a connection.
#[derive(Debug)]
pub(crate) struct Inflater {
    state: Decompress,
    keeps_context: bool,
    /// The compressed bytes of the message at hand.
    message: Vec<u8>,
}

impl Inflater {
    /// From the `sec-websocket-extensions` of the response; `None` without compression.
    pub(crate) fn negotiated(extensions: &str, no_context_parameter: &str) -> Option<Self> {
        let mut parameters = extensions.split(';').map(str::trim);
        if parameters.next() != Some("permessage-deflate") {
            return None;
        }
        let keeps_context = !parameters.any(|parameter| parameter == no_context_parameter);
        Some(Self { state: Decompress::new(false), keeps_context, message: Vec::new() })
    }

    /// Fills in what a compressed, unfragmented message says.
    pub(crate) fn inflate(&mut self, frame: &mut Frame) {
        let Payload::Whole(payload) = &frame.payload else { return };
        if frame.rsv & 4 == 0 || !frame.fin || !matches!(frame.opcode, Frame::TEXT | Frame::BINARY) {
            return;
        }
        self.message.clear();
        self.message.extend_from_slice(payload);
        self.message.extend_from_slice(&[0, 0, 0xff, 0xff]);
        if !self.keeps_context {
            self.state.reset(false);
        }
        frame.inflated = self.run().map(Payload::Whole);
    }

    fn run(&mut self) -> Option<Bytes> {
        let mut output = Vec::with_capacity(self.message.len().saturating_mul(4).max(256));
        let start = self.state.total_in();
        loop {
            let consumed = usize::try_from(self.state.total_in() - start).ok()?;
            let rest = self.message.get(consumed..)?;
            self.state.decompress_vec(rest, &mut output, FlushDecompress::Sync).ok()?;
            let all_read = self.state.total_in() - start == self.message.len() as u64;
            let has_room = output.len() < output.capacity();
            if has_room || output.len() > INFLATE_LIMIT {
                return (all_read && has_room).then(|| output.into());
            }
            output.reserve(output.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (length, masked) in [(0, true), (125, false), (126, true), (65_535, false), (65_536, true)] {
            let payload = vec![b'p'; length];
            let frame = Frame {
                opcode: 3,
                fin: false,
                rsv: 5,
                masked,
                payload: Payload::Whole(payload.clone().into()),
                inflated: None,
            };
            let mut bytes = Vec::new();
            encode(&frame, &payload, &mut bytes);
            let mut buffer = BytesMut::from(&bytes[..bytes.len() - 1]);
            assert_eq!(decode(&mut buffer), None);
            buffer.extend_from_slice(&bytes[bytes.len() - 1..]);
            assert_eq!(decode(&mut buffer), Some(frame));
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_partial_frame_is_described_as_it_was_sent() {
        for (opcode, declared_length, have) in [(1, 5000, 7), (7, 69, 16)] {
            let partial_frame = PartialFrame { opcode, declared_length, have };
            let mut bytes = Vec::new();
            encode_partial(&partial_frame, &mut bytes);
            assert_eq!(partial(&bytes), Some(partial_frame));
            assert_eq!(partial(&bytes[..1]), None);
        }
    }
}
