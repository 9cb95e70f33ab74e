//! The codec of permessage-deflate (RFC 7692 §7.2).

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{DeflateOptions, DeflateParams, Opcode, ProtocolError, extension::WindowBits, writer};

/// The sending half: turns messages into compressed frames.
#[derive(Debug)]
pub(crate) struct Deflater {
    stream: Compress,
    no_context_takeover: bool,
}

impl Deflater {
    #[cfg(test)]
    pub(crate) fn new(params: DeflateParams) -> Self {
        Self::with(params, &DeflateOptions::default())
    }

    pub(crate) fn with(params: DeflateParams, options: &DeflateOptions) -> Self {
        Self {
            stream: Compress::new_with_window_bits(
                Compression::new(options.level.min(9)),
                false,
                params.server_max_window_bits.unwrap_or(WindowBits::MAX).for_zlib(),
            ),
            no_context_takeover: params.server_no_context_takeover,
        }
    }

    /// A complete frame with a message of `payload`. Frames have to be sent in the order in which they are made.
    pub(crate) fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Bytes {
        let mut frame = vec![0; writer::MAX_HEADER_LEN];
        self.deflate(payload, &mut frame);

        // The header is written right in front of the payload, wherever in its reserved space that is.
        let mut header = [0; writer::MAX_HEADER_LEN];
        let payload_len = frame.len() - writer::MAX_HEADER_LEN;
        let header_len = writer::write_header(opcode, true, payload_len, &mut header);
        let start = writer::MAX_HEADER_LEN - header_len;
        frame[start..writer::MAX_HEADER_LEN].copy_from_slice(&header[..header_len]);
        Bytes::copy_from_slice(&frame[start..])
    }

    fn deflate(&mut self, payload: &[u8], output: &mut Vec<u8>) {
        let payload_start = output.len();
        let start = self.stream.total_in();
        loop {
            let consumed = usize::try_from(self.stream.total_in() - start).unwrap_or(usize::MAX);
            let rest = payload.get(consumed..).unwrap_or_default();
            output.reserve((rest.len() / 2).max(MIN_OUTPUT));
            self.stream
                .compress_vec(rest, output, FlushCompress::Sync)
                .expect("a stream that is never finished accepts any input");
            // Room to spare is the sign that the flush is complete.
            if output.len() < output.capacity() {
                break;
            }
        }
        if output.ends_with(&TAIL) {
            output.truncate(output.len() - TAIL.len());
        }
        if output.len() == payload_start {
            // Nothing to flush: the message is empty, and so was the one before.
            output.push(EMPTY_BLOCK);
        }
        if self.no_context_takeover {
            self.stream.reset();
        }
    }
}

/// The receiving half: inflates messages within bounds.
#[derive(Debug)]
pub(crate) struct Inflater {
    stream: Decompress,
    no_context_takeover: bool,
    /// How many times larger than its wire size a message may become.
    max_ratio: usize,
}

impl Inflater {
    #[cfg(test)]
    pub(crate) fn new(params: DeflateParams) -> Self {
        Self::with(params, &DeflateOptions::default())
    }

    pub(crate) fn with(params: DeflateParams, options: &DeflateOptions) -> Self {
        Self {
            max_ratio: options.max_inflate_ratio,
            stream: Decompress::new_with_window_bits(
                false,
                params.client_max_window_bits.unwrap_or(WindowBits::MAX).for_zlib(),
            ),
            no_context_takeover: params.client_no_context_takeover,
        }
    }

    /// Inflates a message that may become so many times as large as the options allow (small ones: [`ANY_RATIO_SIZE`]), but no
    /// larger than `max_size`.
    ///
    /// After an error the stream is of no use.
    pub(crate) fn inflate(&mut self, payload: &[u8], max_size: usize) -> Result<Vec<u8>, ProtocolError> {
        let limit = payload.len().saturating_mul(self.max_ratio).max(ANY_RATIO_SIZE).min(max_size);
        let mut output = Vec::new();
        let mut status = self.feed(payload, &mut output, limit)?;
        if status != Status::StreamEnd {
            status = self.feed(&TAIL, &mut output, limit)?;
        }
        if self.no_context_takeover || status == Status::StreamEnd {
            self.stream.reset(false);
        }
        Ok(output)
    }

    fn feed(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<Status, ProtocolError> {
        let start = self.stream.total_in();
        loop {
            let consumed = usize::try_from(self.stream.total_in() - start).unwrap_or(usize::MAX);
            let rest = input.get(consumed..).unwrap_or_default();
            if output.len() == output.capacity() {
                // One byte more than allowed shows that the message is too large.
                let allowed = (limit - output.len()).saturating_add(1);
                let step = (2 * rest.len()).max(output.len()).max(MIN_OUTPUT);
                output.reserve_exact(step.min(allowed));
            }
            let status = self
                .stream
                .decompress_vec(rest, output, FlushDecompress::Sync)
                .map_err(|_| ProtocolError::InvalidCompression)?;
            if output.len() > limit {
                return Err(ProtocolError::InflatedTooLarge);
            }
            // Room to spare is the sign that all input is used up.
            if status == Status::StreamEnd || output.len() < output.capacity() {
                return Ok(status);
            }
        }
    }
}

/// The size up to which the ratio does not matter: short messages of one character exceed any, and harm nobody.
const ANY_RATIO_SIZE: usize = 16 * 1024;

/// The end of every flushed block, which is left out on the wire.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What is left of a flushed block without content.
const EMPTY_BLOCK: u8 = 0x00;

/// The least room to offer to the codec.
const MIN_OUTPUT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_kept_between_messages_unless_agreed_otherwise() {
        let message = b"a message that is long enough to be worth a reference";
        for no_takeover in [false, true] {
            let params = DeflateParams {
                server_no_context_takeover: no_takeover,
                client_no_context_takeover: no_takeover,
                ..DeflateParams::default()
            };
            let mut deflater = Deflater::new(params);
            let mut inflater = Inflater::new(params);

            let first = deflater.frame(Opcode::Text, message);
            let second = deflater.frame(Opcode::Text, message);

            assert_eq!(second.len() < first.len(), !no_takeover);
            for frame in [first, second] {
                assert_eq!(frame[0], 0xc1);
                assert_eq!(inflater.inflate(&frame[2..], 1000).unwrap(), message);
            }
        }
    }

    #[test]
    fn a_message_of_any_length_survives() {
        let params = DeflateParams::default();
        let mut deflater = Deflater::new(params);
        let mut inflater = Inflater::new(params);
        for length in [0, 0, 1, 63, 64, 65, 1000, 100_000] {
            let message = noise(length);

            let frame = deflater.frame(Opcode::Binary, &message);

            let payload = payload_of(&frame);
            assert_eq!(inflater.inflate(payload, usize::MAX).unwrap(), message);
        }
    }

    #[test]
    fn a_small_window_is_respected() {
        let offered = DeflateParams { server_max_window_bits: window_bits(8), ..DeflateParams::default() };
        // An inflater with the smallest window zlib has cannot follow references from a larger one.
        let mut inflater = Inflater::new(DeflateParams {
            client_max_window_bits: window_bits(8),
            ..DeflateParams::default()
        });
        let pattern = noise(1000);
        let message = pattern.repeat(3);

        let small = Deflater::new(offered).frame(Opcode::Binary, &message);
        let large = Deflater::new(DeflateParams::default()).frame(Opcode::Binary, &message);

        assert!(large.len() < small.len());
        assert_eq!(inflater.inflate(payload_of(&small), usize::MAX), Ok(message));
    }

    #[test]
    fn a_final_block_ends_the_message_and_the_next_one_starts_afresh() {
        // RFC 7692 §7.2.3.4
        let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let mut inflater = Inflater::new(DeflateParams::default());

        for _ in 0..2 {
            assert_eq!(inflater.inflate(&hello, 100).unwrap(), b"Hello");
        }
    }

    #[test]
    fn the_limits_are_exact() {
        let params = DeflateParams::default();
        let inflate = |payload: &[u8], max_size| Inflater::new(params).inflate(payload, max_size);

        for (length, allowed) in [(ANY_RATIO_SIZE, true), (ANY_RATIO_SIZE + 1, false)] {
            let frame = Deflater::new(params).frame(Opcode::Text, &vec![b'a'; length]);
            let payload = payload_of(&frame);
            assert!(payload.len() * DeflateOptions::default().max_inflate_ratio < length);
            assert_eq!(inflate(payload, usize::MAX).is_ok(), allowed);
        }

        let noise = noise(1000);
        let frame = Deflater::new(params).frame(Opcode::Binary, &noise);
        let payload = payload_of(&frame);
        assert_eq!(inflate(payload, 1000).as_ref(), Ok(&noise));
        assert_eq!(inflate(payload, 999), Err(ProtocolError::InflatedTooLarge));
    }

    #[test]
    fn the_ratio_and_the_level_are_options() {
        let params = DeflateParams::default();
        let message = vec![b'a'; ANY_RATIO_SIZE + 1];
        let frame = Deflater::new(params).frame(Opcode::Text, &message);
        let generous = DeflateOptions::new().max_inflate_ratio(10_000);
        assert_eq!(
            Inflater::with(params, &generous).inflate(payload_of(&frame), usize::MAX),
            Ok(message.clone())
        );

        let length = |level| {
            Deflater::with(params, &DeflateOptions::new().level(level)).frame(Opcode::Text, &message).len()
        };
        assert!(length(0) > message.len());
        assert!(length(9) < length(0));
        assert_eq!(length(99), length(9));
    }

    #[test]
    fn garbage_is_corrupt() {
        let mut inflater = Inflater::new(DeflateParams::default());

        assert_eq!(inflater.inflate(&[0xff; 20], 1000), Err(ProtocolError::InvalidCompression));
    }

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(length)
        .collect()
    }

    fn window_bits(bits: u8) -> Option<WindowBits> {
        WindowBits::parse(&bits.to_string())
    }

    fn payload_of(frame: &[u8]) -> &[u8] {
        match frame[1] {
            126 => &frame[4..],
            127 => &frame[10..],
            _ => &frame[2..],
        }
    }
}
