//! The command line.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn an_unreachable_server_fails_with_reports_of_every_kind() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (junit, json) = (folder.join("report.xml"), folder.join("report.json"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let output = run(&[
        "replay",
        "--url",
        &url,
        "--filter",
        "ws_connect_heartbeat.v2",
        "--patience",
        "0.1",
        "--junit",
        junit.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ws_connect_heartbeat.v2:3 client A connection 1: connection"), "{text}");
    assert!(std::fs::read_to_string(junit).unwrap().contains("<failure"));
    assert!(std::fs::read_to_string(json).unwrap().contains("\"verdict\": \"failed\""));
}

#[test]
fn what_cannot_be_replayed_is_an_error_of_its_own() {
    let unreadable = run(&["replay", "--url", "http://127.0.0.1:1", "no_such_file.jsonl"]);
    assert_eq!(unreadable.status.code(), Some(2));
    let tls = run(&["replay", "--url", "https://127.0.0.1"]);
    assert!(String::from_utf8(tls.stderr).unwrap().contains("expected http://host:port"));
    let nothing = run(&["replay", "--url", "http://127.0.0.1:1", "--filter", "no_such_recording"]);
    assert_eq!(nothing.status.code(), Some(1));
}

#[test]
fn a_recording_is_shown_without_colours_when_nobody_looks() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/ws_frames.v2.jsonl");
    let output = run(&["show", path]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        text.contains(r#"A1   <-- text ["1","1","echo:m","phx_reply",{"response":{},"status":"ok"}]"#),
        "{text}"
    );
    assert!(
        text.contains("A47  --> RST")
            && text.contains("--> unfinished text [\"1\"")
            && !text.contains('\u{1b}')
    );
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phoenix-conformance")).args(arguments).output().unwrap()
}
