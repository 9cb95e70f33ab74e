//! Client frames to events.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use simdutf8::basic::from_utf8;

use super::{
    CloseCode, Inflater, Input, ProtocolError,
    header::{FrameHeader, Opcode},
    pending::Pending,
};

/// Limits of a connection's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReaderConfig {
    /// The largest frame in bytes, counting header, mask and payload; `usize::MAX` for no limit.
    pub(crate) max_frame_size: usize,
    /// The largest payload of a fragmented message in bytes, counting all of its frames.
    pub(crate) max_message_size: usize,
}

impl Default for ReaderConfig {
    /// 10 000 000 for a frame, 8 000 000 for a fragmented message (protocol §8.3).
    fn default() -> Self {
        Self { max_frame_size: 10_000_000, max_message_size: 8_000_000 }
    }
}

/// Something a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
// With a tag of eight bytes a moved event is copied in aligned words; with a narrow one the copy starts at an odd
// offset, and waits for the words just written: measured at two thirds of the cost of reading a short message.
#[repr(u64)]
pub(crate) enum Event {
    /// A complete text message.
    Text(ByteString),
    /// A complete binary message.
    Binary(Bytes),
    /// To be answered with a pong of the same payload.
    Ping(Bytes),
    /// The answer to a ping, or unsolicited; to be ignored.
    Pong(Bytes),
    /// The last event: to be answered with a close frame. Whatever the peer sent behind it is dropped.
    Close(Option<CloseCode>),
}

/// The receiving half of a server's connection.
///
/// Owns heap memory only while a frame or a message is incomplete, and for compression if that was negotiated.
#[derive(Debug)]
pub(crate) struct Reader {
    config: ReaderConfig,
    pending: Option<Box<Pending>>,
    inflater: Option<Box<Inflater>>,
    /// A close frame or a violation was read: nothing more is.
    finished: bool,
}

impl Reader {
    /// A reader for a new connection; `inflater` if compression was negotiated.
    pub(crate) fn new(config: ReaderConfig, inflater: Option<Inflater>) -> Self {
        Self { config, pending: None, inflater: inflater.map(Box::new), finished: false }
    }

    /// The next event in `input`, which is advanced behind it and may be overwritten.
    ///
    /// To be called until it returns `None`: then all of `input` is consumed, and what is incomplete is kept. After an
    /// error or [`Event::Close`] the rest of the input, and everything later, is dropped.
    pub(crate) fn next_event(&mut self, input: &mut Input<'_>) -> Result<Option<Event>, ProtocolError> {
        if self.finished {
            input.clear();
            return Ok(None);
        }
        let result = self.read_frames(input);
        if matches!(result, Err(_) | Ok(Some(Event::Close(_)))) {
            self.finished = true;
            self.pending = None;
            self.inflater = None;
        }
        result
    }

    /// Reads frames until one makes an event or the input ends.
    #[inline]
    fn read_frames(&mut self, input: &mut Input<'_>) -> Result<Option<Event>, ProtocolError> {
        loop {
            let Some((header, received)) = self.resume_or_begin_frame(input)? else {
                return Ok(None);
            };
            let missing = header.payload_len - received;
            let chunk = input.take(missing);
            header.mask.apply(chunk, received);
            if chunk.len() < missing {
                self.keep(header, received, chunk);
                return Ok(None);
            }
            let event = self.complete(header, chunk)?;
            if self.pending.as_ref().is_some_and(|it| it.is_empty()) {
                self.pending = None;
            }
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// The header of the frame whose payload is next in `input`, and how much of the payload arrived before.
    fn resume_or_begin_frame(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        if let Some(frame) = self.pending.as_mut().and_then(|it| it.take_frame()) {
            return Ok(Some(frame));
        }
        if input.is_empty() {
            return Ok(None);
        }
        let max_frame_size = self.config.max_frame_size;
        let header = match &mut self.pending {
            Some(pending) => pending.fill_header(input, max_frame_size)?,
            None => match FrameHeader::parse(input.as_slice(), max_frame_size)? {
                Some(header) => {
                    input.take(header.header_len);
                    Some(header)
                }
                None => self.pending.get_or_insert_default().fill_header(input, max_frame_size)?,
            },
        };
        let Some(header) = header else {
            return Ok(None);
        };
        self.check_sequence(header)?;
        Ok(Some((header, 0)))
    }

    /// Refuses a frame that must not follow what came before.
    fn check_sequence(&self, header: FrameHeader) -> Result<(), ProtocolError> {
        let message = self.pending.as_ref().and_then(|it| it.message());
        match (header.opcode, message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(()),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(ProtocolError::UnexpectedMessage),
            (Opcode::Text | Opcode::Binary, None) => {
                if header.compressed && self.inflater.is_none() {
                    return Err(ProtocolError::UnexpectedCompression);
                }
                if !header.fin {
                    self.check_message_size(header.payload_len)?;
                }
                Ok(())
            }
            (Opcode::Continuation, None) => Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Continuation, Some(message)) => {
                if !header.fin && header.payload_len == 0 {
                    return Err(ProtocolError::EmptyContinuation);
                }
                self.check_message_size(message.data.len().saturating_add(header.payload_len))
            }
        }
    }

    fn check_message_size(&self, size: usize) -> Result<(), ProtocolError> {
        if size > self.config.max_message_size {
            return Err(ProtocolError::MessageTooLarge);
        }
        Ok(())
    }

    /// Keeps the last bytes of the input, a part of the payload of `header`.
    fn keep(&mut self, header: FrameHeader, received: usize, chunk: &[u8]) {
        let pending = self.pending.get_or_insert_default();
        let received = received + chunk.len();
        if header.opcode.is_control() {
            pending.push_control(chunk);
        } else {
            let missing = header.payload_len - received;
            pending.message_for(header).push(chunk, header, missing);
        }
        pending.set_frame(header, received);
    }

    /// The event of a frame whose payload ends with `chunk`; `None` if it is not the last one of its message.
    #[inline]
    fn complete(&mut self, header: FrameHeader, chunk: &[u8]) -> Result<Option<Event>, ProtocolError> {
        if header.opcode.is_control() {
            return self.complete_control(header.opcode, chunk).map(Some);
        }
        let is_fragmented_or_kept = self.pending.as_ref().is_some_and(|it| it.message().is_some());
        let (start, payload) = if header.fin && !is_fragmented_or_kept {
            (header, Cow::Borrowed(chunk))
        } else {
            let pending = self.pending.get_or_insert_default();
            pending.message_for(header).push(chunk, header, 0);
            if !header.fin {
                return Ok(None);
            }
            let message = pending.take_message(header);
            (message.start, Cow::Owned(message.data))
        };
        self.message(start, payload).map(Some)
    }

    fn complete_control(&mut self, opcode: Opcode, chunk: &[u8]) -> Result<Event, ProtocolError> {
        let mut payload = self.pending.as_mut().map(|it| it.take_control()).unwrap_or_default();
        payload.extend_from_slice(chunk);
        match opcode {
            Opcode::Ping => Ok(Event::Ping(payload.into())),
            Opcode::Pong => Ok(Event::Pong(payload.into())),
            _ => parse_close(&payload).map(Event::Close),
        }
    }

    #[inline]
    fn message(&mut self, start: FrameHeader, payload: Cow<'_, [u8]>) -> Result<Event, ProtocolError> {
        let payload = match &mut self.inflater {
            Some(inflater) if start.compressed => {
                // What could have been sent uncompressed, in one frame or in several.
                let limit = self.config.max_frame_size.max(self.config.max_message_size);
                Cow::Owned(inflater.inflate(&payload, limit)?)
            }
            _ => payload,
        };
        if start.opcode == Opcode::Text {
            into_text(payload).map(Event::Text)
        } else {
            Ok(Event::Binary(into_bytes(payload)))
        }
    }
}

#[inline]
fn into_text(payload: Cow<'_, [u8]>) -> Result<ByteString, ProtocolError> {
    match payload {
        Cow::Borrowed(bytes) => {
            from_utf8(bytes).map(ByteString::from).map_err(|_| ProtocolError::InvalidText)
        }
        Cow::Owned(_) => ByteString::try_from(into_bytes(payload)).map_err(|_| ProtocolError::InvalidText),
    }
}

/// The payload in a buffer of exactly its size.
#[inline]
fn into_bytes(payload: Cow<'_, [u8]>) -> Bytes {
    match payload {
        Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        Cow::Owned(bytes) => bytes.into_boxed_slice().into(),
    }
}

fn parse_close(payload: &[u8]) -> Result<Option<CloseCode>, ProtocolError> {
    match payload {
        [] => Ok(None),
        [_] => Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => {
            from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
            Ok(Some(CloseCode::new(u16::from_be_bytes([*high, *low]))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::{DeflateParams, Deflater, testing::ClientFrame};

    #[test]
    fn nothing_is_kept_between_messages() {
        let mut reader = Reader::new(ReaderConfig::default(), None);
        let mut bytes = [
            ClientFrame::new(0x01, "a").encode(),
            ClientFrame::new(0x89, "b").encode(),
            ClientFrame::new(0x80, "c").encode(),
        ]
        .concat();
        let last = bytes.len() - 1;

        for byte in &mut bytes[..last] {
            drain(&mut reader, std::slice::from_mut(byte));
            assert!(reader.pending.is_some());
        }
        let events = drain(&mut reader, &mut bytes[last..]);

        assert_eq!(events, [Ok(Event::Text("ac".into()))]);
        assert!(reader.pending.is_none());
    }

    #[test]
    fn nothing_is_read_behind_a_close_frame() {
        let mut reader = Reader::new(ReaderConfig::default(), None);
        let message = ClientFrame::new(0x81, "ignored").encode();
        let mut bytes = [ClientFrame::new(0x88, []).encode(), message.clone()].concat();

        assert_eq!(drain(&mut reader, &mut bytes), [Ok(Event::Close(None))]);
        assert_eq!(drain(&mut reader, &mut message.clone()), []);
    }

    #[test]
    fn frames_in_front_of_a_violation_are_delivered() {
        let mut reader = Reader::new(ReaderConfig::default(), None);
        let mut bytes = [
            ClientFrame::new(0x82, "fine").encode(),
            ClientFrame::new(0x83, "unknown").encode(),
            ClientFrame::new(0x82, "ignored").encode(),
        ]
        .concat();

        assert_eq!(
            drain(&mut reader, &mut bytes),
            [Ok(Event::Binary("fine".into())), Err(ProtocolError::UnknownOpcode(3))]
        );
    }

    #[test]
    fn a_compressed_message_may_be_fragmented() {
        let params = DeflateParams::default();
        let compressed = Deflater::new(params).frame(Opcode::Text, b"hello hello hello");
        let (start, end) = compressed[2..].split_at(3);
        let mut bytes = [
            ClientFrame::new(0x41, start).encode(),
            ClientFrame::new(0x80, end).encode(),
            ClientFrame::new(0x81, "not compressed").encode(),
        ]
        .concat();
        let mut reader = Reader::new(ReaderConfig::default(), Some(Inflater::new(params)));

        assert_eq!(
            drain(&mut reader, &mut bytes),
            [Ok(Event::Text("hello hello hello".into())), Ok(Event::Text("not compressed".into()))]
        );
    }

    #[test]
    fn a_message_may_inflate_to_what_could_have_been_sent_uncompressed() {
        let params = DeflateParams::default();
        for (max_message_size, allowed) in [(1000, true), (999, false)] {
            let config = ReaderConfig { max_frame_size: 500, max_message_size };
            let compressed = Deflater::new(params).frame(Opcode::Binary, &[7; 1000]);
            let mut bytes = ClientFrame::new(0xc2, &compressed[2..]).encode();
            let mut reader = Reader::new(config, Some(Inflater::new(params)));

            let expected = if allowed {
                Ok(Event::Binary(vec![7; 1000].into()))
            } else {
                Err(ProtocolError::InflatedTooLarge)
            };
            assert_eq!(drain(&mut reader, &mut bytes), [expected]);
        }
    }

    fn drain(reader: &mut Reader, bytes: &mut [u8]) -> Vec<Result<Event, ProtocolError>> {
        let mut input = Input::new(bytes);
        std::iter::from_fn(|| reader.next_event(&mut input).transpose()).collect()
    }
}
