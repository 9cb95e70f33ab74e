//! WebSocket frames, in both directions.

use std::ops::Range;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Where one complete frame lies in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// Final fragment and no reserved bit: the only kind the benchmarks use.
    pub(crate) plain: bool,
    pub(crate) body: Range<usize>,
    pub(crate) key: Option<[u8; 4]>,
}

/// Finds the frame at the start of `bytes`; `None` while it is incomplete.
pub(crate) fn next(bytes: &[u8]) -> Option<Frame> {
    let [first, second, ..] = *bytes else { return None };
    let (len, mut head) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let mut key = None;
    if second & 0x80 != 0 {
        key = Some(*bytes.get(head..)?.first_chunk()?);
        head += 4;
    }
    let end = head.checked_add(usize::try_from(len).ok()?)?;
    (end <= bytes.len()).then_some(Frame {
        opcode: first & 0x0f,
        plain: first & 0xf0 == 0x80,
        body: head..end,
        key,
    })
}

/// Appends the header of a final frame; `masked` is the bit that announces a key.
pub(crate) fn head(out: &mut Vec<u8>, opcode: u8, len: usize, masked: bool) {
    let bit = if masked { 0x80 } else { 0_u8 };
    out.push(0x80 | opcode);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..126), _) => out.push(bit + short),
        (_, Ok(medium)) => {
            out.push(bit + 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(bit + 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Applies a masking key, or takes it away: the operation is its own inverse.
pub(crate) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_form_reads_back() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let mut bytes = Vec::new();
            head(&mut bytes, BINARY, len, false);
            let start = bytes.len();
            bytes.resize(start + len, 7);
            assert_eq!(
                next(&bytes),
                Some(Frame { opcode: BINARY, plain: true, body: start..start + len, key: None })
            );
            bytes.pop();
            assert_eq!(next(&bytes), None, "a frame short of one byte is incomplete");
        }
    }

    #[test]
    fn a_masked_frame_carries_its_key() {
        let key = [1, 2, 3, 4];
        let mut bytes = Vec::new();
        head(&mut bytes, TEXT, 11, true);
        bytes.extend_from_slice(&key);
        bytes.extend_from_slice(b"hello world");
        let frame = next(&bytes).unwrap();
        assert_eq!(frame.key, Some(key));
        let body = &mut bytes[frame.body];
        mask(body, key);
        assert_eq!(body[0], b'h' ^ 1);
        assert_eq!(body[10], b'd' ^ 3);
        mask(body, key);
        assert_eq!(body, b"hello world");
    }

    #[test]
    fn an_absurd_length_is_never_complete() {
        let mut bytes = vec![0x82, 127];
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(next(&bytes), None);
    }
}
