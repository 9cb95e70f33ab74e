//! The machine against what a real server did.

use serde_json::Value;

use super::{
    DeflateParams, Event, Inflater, Input, Opcode, ProtocolError, Reader, ReaderConfig, close_answer,
    testing::{ClientFrame, Conversation, Recording, recorded_frame},
};

#[test]
fn frames_are_answered_as_recorded() {
    let conversations = Recording::load("ws_frames.v2").conversations();
    assert_eq!(conversations.len(), 48);
    for conversation in &conversations {
        for chunk_size in [usize::MAX, 7, 1] {
            check(conversation, ReaderConfig::default(), chunk_size);
        }
    }
}

#[test]
fn frame_sizes_are_limited_as_recorded() {
    let conversations = Recording::load("ws_max_frame_size.v2").conversations();
    assert_eq!(conversations.len(), 10);
    for conversation in &conversations {
        let mut config = ReaderConfig::default();
        if conversation.path == "/maxframe/websocket" {
            config.max_frame_size = 1024;
        }
        check(conversation, config, 64 * 1024);
    }
}

#[test]
fn compressed_messages_are_read_as_recorded() {
    let recording = Recording::load("ws_compress.v2");
    let mut compressed = 0;
    for (upgrade, conversation) in recording.upgrades().iter().zip(recording.conversations()) {
        let agreed = upgrade.response.contains_key("sec-websocket-extensions");
        let params = DeflateParams::negotiate(&upgrade.request).filter(|_| agreed);
        for lines in [&conversation.from_client, &conversation.from_server] {
            let mut reader = Reader::new(ReaderConfig::default(), params.map(Inflater::new));
            for line in lines {
                let (events, result) = read(&mut reader, recorded_frame(line).encode(), usize::MAX);
                if line["compressed"] != true {
                    assert_eq!(result, Ok(()), "{line}");
                } else if line["inflated"]["abbreviated"] == true {
                    assert_eq!(result, Err(ProtocolError::InflatedTooLarge));
                } else {
                    assert_eq!(result, Ok(()), "{line}");
                    let expected = recorded_frame(&uncompressed(line)).payload;
                    assert_eq!(events.iter().map(data_of).collect::<Vec<_>>(), [expected]);
                    compressed += 1;
                }
            }
        }
    }
    assert_eq!(compressed, 15);
}

/// Replays one conversation and compares what the server would send with what it did.
fn check(conversation: &Conversation, config: ReaderConfig, chunk_size: usize) {
    let context = &conversation.note;
    let mut reader = Reader::new(config, None);
    let (events, result) = read(&mut reader, bytes_of(conversation), chunk_size);

    let answers: Vec<Answer> = events.iter().filter_map(Answer::to).collect();
    let error = result.err().map(|error| Answer::Close(error.close_code().get()));
    let answers: Vec<Answer> = answers.into_iter().chain(error).collect();

    let recorded: Vec<Answer> = conversation.from_server.iter().map(Answer::recorded).collect();
    if context.starts_with("10_000_001") {
        // The recorded server's close frame was lost in a TCP reset.
        assert_eq!(recorded.len() + 1, answers.len(), "{context}");
        assert_eq!(answers.last(), Some(&Answer::Close(1009)), "{context}");
    } else {
        assert_eq!(answers, recorded, "{context}");
    }
}

/// What a server that replies to every message sends.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Message(Opcode),
    Pong(Vec<u8>),
    Close(u16),
}

impl Answer {
    fn to(event: &Event) -> Option<Self> {
        match event {
            Event::Text(_) => Some(Self::Message(Opcode::Text)),
            Event::Binary(_) => Some(Self::Message(Opcode::Binary)),
            Event::Ping(payload) => Some(Self::Pong(payload.to_vec())),
            Event::Pong(_) => None,
            Event::Close(code) => Some(Self::Close(close_answer(*code).get())),
        }
    }

    fn recorded(line: &Value) -> Self {
        let frame = recorded_frame(line);
        match line["kind"].as_str() {
            Some("text") => Self::Message(Opcode::Text),
            Some("binary") => Self::Message(Opcode::Binary),
            Some("pong") => Self::Pong(frame.payload),
            Some("close") => Self::Close(u16::from_be_bytes([frame.payload[0], frame.payload[1]])),
            other => panic!("the server sent {other:?}"),
        }
    }
}

/// What the client of a conversation sent, including what a recording cannot show as a frame.
fn bytes_of(conversation: &Conversation) -> Vec<u8> {
    let note = conversation.note.as_str();
    let mut bytes = Vec::new();
    for (index, line) in conversation.from_client.iter().enumerate() {
        let frame = recorded_frame(line);
        if note.starts_with("non-minimal length") && index == 1 {
            bytes.extend(frame.encode_with_u16(u16::try_from(frame.payload.len()).unwrap()));
        } else {
            bytes.extend(frame.encode());
        }
    }
    match note {
        "HTTP garbage instead of a frame" => bytes.extend(b"GET / HTTP/1.1\r\n"),
        "header announces 5000 bytes, nothing else is sent: close at once" => {
            let header = ClientFrame::new(0x81, []).encode_with_u16(5000);
            bytes.extend(header);
        }
        "10_000_001 bytes including 14 bytes of header: close 1009" => {
            bytes.extend(ClientFrame::new(0x81, vec![b'x'; 10_000_001 - 14]).encode());
        }
        _ => {}
    }
    bytes
}

fn read(
    reader: &mut Reader,
    mut bytes: Vec<u8>,
    chunk_size: usize,
) -> (Vec<Event>, Result<(), ProtocolError>) {
    let mut events = Vec::new();
    let chunk_size = chunk_size.min(bytes.len()).max(1);
    for chunk in bytes.chunks_mut(chunk_size) {
        let mut chunk = Input::new(chunk);
        loop {
            match reader.next_event(&mut chunk) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
    }
    (events, Ok(()))
}

fn data_of(event: &Event) -> &[u8] {
    match event {
        Event::Text(text) => text.as_bytes(),
        Event::Binary(data) => data,
        other => panic!("{other:?} is not a message"),
    }
}

/// The line as it would have been recorded without compression.
fn uncompressed(line: &Value) -> Value {
    let mut uncompressed = line["inflated"].clone();
    uncompressed["kind"] = line["kind"].clone();
    uncompressed
}
