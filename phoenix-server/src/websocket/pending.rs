//! What is kept of a connection's input while the rest has not arrived.

use super::{
    Input, ProtocolError,
    header::{FrameHeader, MAX_CLIENT_HEADER_LEN, required_len},
};

/// An unfinished header, an unfinished frame, an unfinished fragmented message, or a frame inside of such a message.
///
/// Lives on the heap, and only as long as one of them is unfinished: an idle connection has none.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The first bytes of a header.
    header: [u8; MAX_CLIENT_HEADER_LEN],
    /// How many bytes of `header` are there; 0 unless a header is unfinished.
    header_len: usize,
    /// The frame whose payload is arriving, and how much of it arrived.
    frame: Option<(FrameHeader, usize)>,
    /// The message that `frame` belongs to, or that is between two fragments.
    message: Option<PendingMessage>,
    /// The unmasked beginning of `frame`'s payload if that is a control frame.
    control: Vec<u8>,
}

impl Pending {
    /// Takes from `input` what the header lacks; `None` if that is not enough.
    pub(crate) fn fill_header(
        &mut self,
        input: &mut Input<'_>,
        max_frame_size: usize,
    ) -> Result<Option<FrameHeader>, ProtocolError> {
        // Two rounds, because the second byte tells how long the header is.
        for _ in 0..2 {
            let required = required_len(&self.header[..self.header_len]);
            let taken = input.take(required - self.header_len);
            self.header[self.header_len..][..taken.len()].copy_from_slice(taken);
            self.header_len += taken.len();
            let header = FrameHeader::parse(&self.header[..self.header_len], max_frame_size)?;
            if header.is_some() {
                self.header_len = 0;
                return Ok(header);
            }
        }
        Ok(None)
    }

    /// The frame whose payload is arriving, and how much of it arrived; the caller puts it back if it stays unfinished.
    pub(crate) fn take_frame(&mut self) -> Option<(FrameHeader, usize)> {
        self.frame.take()
    }

    pub(crate) fn set_frame(&mut self, header: FrameHeader, received: usize) {
        self.frame = Some((header, received));
    }

    /// Keeps a part of a control frame's payload.
    pub(crate) fn push_control(&mut self, chunk: &[u8]) {
        self.control.extend_from_slice(chunk);
    }

    pub(crate) fn take_control(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control)
    }

    /// The message under way, begun by `header` if there is none.
    pub(crate) fn message_for(&mut self, header: FrameHeader) -> &mut PendingMessage {
        self.message.get_or_insert_with(|| PendingMessage::new(header))
    }

    /// Ends the message under way, which may have begun with `header`.
    pub(crate) fn take_message(&mut self, header: FrameHeader) -> PendingMessage {
        self.message.take().unwrap_or_else(|| PendingMessage::new(header))
    }

    pub(crate) fn message(&self) -> Option<&PendingMessage> {
        self.message.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// A message of which not everything arrived.
#[derive(Debug)]
pub(crate) struct PendingMessage {
    /// The header of its first frame.
    pub(crate) start: FrameHeader,
    /// The unmasked payload so far, of all fragments.
    pub(crate) data: Vec<u8>,
}

impl PendingMessage {
    fn new(start: FrameHeader) -> Self {
        Self { start, data: Vec::new() }
    }

    /// Appends `chunk`, behind which `missing` bytes of the frame `header` are still to come.
    ///
    /// What a header announces is reserved in steps no larger than what arrived before (or [`RESERVE_STEP`]), so that
    /// memory is only had for bytes sent; the last frame's end fills the buffer exactly.
    pub(crate) fn push(&mut self, chunk: &[u8], header: FrameHeader, missing: usize) {
        if self.data.capacity() - self.data.len() < chunk.len() {
            let step = missing.min(self.data.len().max(RESERVE_STEP));
            let additional = chunk.len().saturating_add(step);
            if header.fin {
                self.data.reserve_exact(additional);
            } else {
                self.data.reserve(additional);
            }
        }
        self.data.extend_from_slice(chunk);
    }
}

/// Memory a peer gets for an announcement alone.
const RESERVE_STEP: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_alone_gets_little_memory() {
        let header = announce(0x82, 10_000_000);
        let mut message = Pending::default();
        let message = message.message_for(header);

        message.push(b"x", header, header.payload_len - 1);

        assert!(message.data.capacity() <= 1 + RESERVE_STEP);
    }

    #[test]
    fn an_unfragmented_message_ends_in_a_buffer_of_its_size() {
        let header = announce(0x82, 1_000_003);
        let mut message = Pending::default();
        let message = message.message_for(header);
        let mut capacities = Vec::new();
        let mut missing = header.payload_len;

        while missing > 0 {
            let chunk = vec![0; missing.min(1000)];
            missing -= chunk.len();
            message.push(&chunk, header, missing);
            capacities.push(message.data.capacity());
        }

        assert_eq!(message.data.len(), header.payload_len);
        assert_eq!(message.data.capacity(), header.payload_len);
        capacities.dedup();
        assert!(capacities.len() < 10, "grew {} times", capacities.len());
    }

    fn announce(first_byte: u8, payload_len: u64) -> FrameHeader {
        let mut bytes = vec![first_byte, 0xff];
        bytes.extend(payload_len.to_be_bytes());
        bytes.extend([0; 4]);
        FrameHeader::parse(&bytes, usize::MAX).unwrap().unwrap()
    }
}
