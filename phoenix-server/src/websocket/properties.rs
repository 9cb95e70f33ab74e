//! What holds for any input.

use bytes::Bytes;
use bytestring::ByteString;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    DeflateParams, Deflater, Event, Inflater, Input, Opcode, ProtocolError, Reader, ReaderConfig,
    extension::WindowBits, testing::ClientFrame,
};

#[test]
fn an_idle_reader_is_small() {
    assert!(size_of::<Reader>() <= 48);
}

proptest! {
    #[test]
    fn chunking_changes_nothing(
        frames in vec(any_frame(), 0..8),
        cuts in vec(any::<Index>(), 0..12),
        compression: bool,
    ) {
        let bytes = frames.iter().flat_map(ClientFrame::encode).collect::<Vec<_>>();

        prop_assert_eq!(
            read(bytes.clone(), &cuts, compression),
            read(bytes, &[], compression)
        );
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in vec(any::<u8>(), 0..300),
        cuts in vec(any::<Index>(), 0..12),
        compression: bool,
    ) {
        prop_assert_eq!(
            read(bytes.clone(), &cuts, compression),
            read(bytes, &[], compression)
        );
    }

    #[test]
    fn messages_arrive_as_sent(
        messages in vec(any_message(), 0..6),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let bytes = messages.iter().flat_map(Message::encode).collect();
        let expected: Vec<Event> = messages.iter().flat_map(Message::events).collect();

        prop_assert_eq!(read(bytes, &cuts, false), (expected, None));
    }

    #[test]
    fn compressed_messages_arrive_as_sent(
        texts in vec(".{0,60}", 0..6),
        cuts in vec(any::<Index>(), 0..12),
        window_bits in 8..=15_u8,
        no_takeover: bool,
    ) {
        let params = params(window_bits, no_takeover);
        let mut deflater = Deflater::new(params);
        let mut bytes = Vec::new();
        for text in &texts {
            let frame = deflater.frame(Opcode::Text, text.as_bytes());
            let payload = if frame[1] == 126 { &frame[4..] } else { &frame[2..] };
            bytes.extend(ClientFrame::new(frame[0], payload).encode());
        }
        let reader = Reader::new(ReaderConfig::default(), Some(Inflater::new(params)));

        let (events, error) = read_with(reader, bytes, &cuts);

        prop_assert_eq!(error, None);
        let expected: Vec<Event> = texts
            .into_iter()
            .map(|text| Event::Text(text.into()))
            .collect();
        prop_assert_eq!(events, expected);
    }
}

/// A message in fragments, with a ping in front of each of them.
#[derive(Debug, Clone)]
struct Message {
    text: ByteString,
    is_text: bool,
    cuts: Vec<usize>,
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let fragments = self.fragments();
        let last = fragments.len() - 1;
        for (index, fragment) in fragments.into_iter().enumerate() {
            let opcode = match (index, self.is_text) {
                (0, true) => Opcode::Text,
                (0, false) => Opcode::Binary,
                _ => Opcode::Continuation,
            };
            let fin = if index == last { 0x80 } else { 0 };
            bytes.extend(ClientFrame::new(0x89, fragment).encode());
            bytes.extend(ClientFrame::new(fin | opcode as u8, fragment).encode());
        }
        bytes
    }

    fn events(&self) -> Vec<Event> {
        let pings = self.fragments().into_iter();
        let mut events: Vec<Event> = pings.map(|it| Event::Ping(Bytes::copy_from_slice(it))).collect();
        events.push(if self.is_text {
            Event::Text(self.text.clone())
        } else {
            Event::Binary(self.text.clone().into_bytes())
        });
        events
    }

    /// The payload, cut anywhere, but without empty fragments behind the first one.
    fn fragments(&self) -> Vec<&[u8]> {
        let mut fragments = Vec::new();
        let mut start = 0;
        for &cut in &self.cuts {
            if cut > start || start == 0 {
                fragments.push(&self.text.as_bytes()[start..cut]);
                start = cut;
            }
        }
        fragments.push(&self.text.as_bytes()[start..]);
        fragments
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    (".{0,40}", any::<bool>(), vec(any::<Index>(), 0..3)).prop_map(|(text, is_text, cuts)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Message { text: text.into(), is_text, cuts }
    })
}

/// Mostly legal frames.
fn any_frame() -> impl Strategy<Value = ClientFrame> {
    let first_byte = prop_oneof![
        6 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88, 0xc1, 0xc2]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "[a-z\u{e9}]{0,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..400),
    ];
    (first_byte, payload).prop_map(|(first_byte, payload)| ClientFrame::new(first_byte, payload))
}

fn read(bytes: Vec<u8>, cuts: &[Index], compression: bool) -> (Vec<Event>, Option<ProtocolError>) {
    let config = ReaderConfig { max_frame_size: 300, max_message_size: 500 };
    let inflater = compression.then(|| Inflater::new(DeflateParams::default()));
    read_with(Reader::new(config, inflater), bytes, cuts)
}

fn read_with(mut reader: Reader, mut bytes: Vec<u8>, cuts: &[Index]) -> (Vec<Event>, Option<ProtocolError>) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut events = Vec::new();
    let mut error = None;
    let mut start = 0;
    for cut in cuts {
        let mut chunk = Input::new(&mut bytes[start..cut]);
        start = cut;
        loop {
            match reader.next_event(&mut chunk) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => error = Some(violation),
            }
        }
        assert!(chunk.is_empty());
    }
    (events, error)
}

fn params(window_bits: u8, no_takeover: bool) -> DeflateParams {
    let bits = WindowBits::parse(&window_bits.to_string());
    DeflateParams {
        server_no_context_takeover: no_takeover,
        client_no_context_takeover: no_takeover,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    }
}
