//! The recordings of this crate are read and written without loss.

use phoenix_conformance::recording::{self, Direction, Event, Item, Recording};
use serde_json::Value;

#[test]
fn all_recordings_are_there() {
    let names: Vec<_> = recording::bundled().iter().map(|bundled| bundled.name).collect();
    assert_eq!(names.len(), 49);
    assert!(names.is_sorted() && names.contains(&"ws_vsn"));
}

#[test]
fn reading_and_writing_keeps_every_line() {
    for bundled in recording::bundled() {
        let mut written = Vec::new();
        bundled.parse().unwrap().write(&mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        for (number, (before, after)) in bundled.text.lines().zip(written.lines()).enumerate() {
            let mut before: Value = serde_json::from_str(before).unwrap();
            let after: Value = serde_json::from_str(after).unwrap();
            forget_spelling(&mut before, &after);
            assert_eq!(before, after, "{}:{}", bundled.name, number + 1);
        }
        assert_eq!(bundled.text.lines().count(), written.lines().count());
    }
}

#[test]
fn every_large_payload_of_a_client_can_be_rebuilt() {
    for bundled in recording::bundled() {
        for entry in bundled.parse().unwrap().entries {
            let Item::Wire(wire) = entry.item else { continue };
            if wire.dir == Direction::ServerToClient {
                continue;
            }
            match wire.event {
                Event::Frame(frame) => assert!(frame.payload.rebuild().is_some()),
                Event::Request(request) => assert!(request.body.rebuild().is_some()),
                Event::Response(_) | Event::Fin(_) | Event::Rst | Event::Error(_) => {}
            }
        }
    }
}

#[test]
fn unknown_kinds_and_fields_are_no_error() {
    let lines = [r#"{"t":1,"kind":"weather","sky":"blue"}"#, r#"{"t":2,"kind":"note","text":"x","new":1}"#];
    let recording = Recording::parse("future", lines).unwrap();
    assert!(matches!(&recording.entries[0].item, Item::Other(value) if value["sky"] == "blue"));
    assert!(matches!(&recording.entries[1].item, Item::Note(text) if text == "x"));
}

/// Two things in the recordings have more than one spelling: whole milliseconds, and a field that explains a failure.
fn forget_spelling(before: &mut Value, after: &Value) {
    if before["t"].as_f64() == after["t"].as_f64() {
        before["t"] = after["t"].clone();
    }
    if let Some(fields) = before.as_object_mut() {
        fields.remove("inflate_error");
    }
}
