//! The command-line client against a small server, in a pseudo-terminal and in a pipe.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use rexpect::session::spawn_command;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

const PHX: &str = env!("CARGO_BIN_EXE_phx");

#[test]
fn a_session_in_a_terminal() -> Result<(), rexpect::error::Error> {
    let mut command = Command::new(PHX);
    command.args([&format!("ws://{}/socket", serve()), "room:lobby"]);
    // It waits for what is printed; the limit is for a program that hangs.
    let mut terminal = spawn_command(command, Some(120_000))?;
    terminal.exp_string("[1 1] room:lobby phx_join {}")?;
    terminal.exp_string("[1 1] room:lobby reply ok {}  (")?;
    terminal.exp_string("[1 -] room:lobby presence_state present: bob")?;
    terminal.send_line("say {\"text\":\"hi\"}")?;
    terminal.exp_string("[1 2] room:lobby say {\"text\":\"hi\"}")?;
    terminal.exp_string("[1 2] room:lobby reply ok {\"text\":\"hi\"}  (")?;
    terminal.exp_string("[- -] room:lobby presence_diff presence: +ann")?;
    terminal.send_line("push refuse {}")?;
    terminal.exp_string("! push: the push was refused")?;
    terminal.send_line("presence")?;
    terminal.exp_string("present: bob (1) ann (1)")?;
    terminal.send_line("topics")?;
    terminal.exp_string("* room:lobby joined")?;
    terminal.send_line("push say {oops")?;
    terminal.exp_string("! not JSON")?;
    terminal.send_line("leave")?;
    terminal.exp_string("[1 4] room:lobby phx_leave {}")?;
    terminal.send_line("quit")?;
    terminal.exp_eof()?;
    Ok(())
}

#[test]
fn a_script_in_a_pipe_and_its_recording() {
    let file = std::env::temp_dir().join(format!("phx-{}.jsonl", std::process::id()));
    let mut child = Command::new(PHX)
        .args([&format!("ws://{}/socket", serve()), "room:lobby", "--json", "-p", "a=b", "--record"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"push say {\"n\":1}\nping\npresence\ntopics\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = json_lines(&output.stdout);
    let is_reply = |line: &&Value| line["event"] == "reply ok" && line["payload"] == json!({ "n": 1 });
    let reply = lines.iter().find(is_reply).expect("a reply");
    assert_eq!((&reply["topic"], &reply["join_ref"]), (&json!("room:lobby"), &json!("1")));
    assert!(reply["took_ms"].is_number());
    assert!(lines.iter().any(|line| line["present"] == json!({ "ann": 1, "bob": 1 })));
    assert!(
        lines.iter().any(|line| (&line["topic"], &line["state"]) == (&json!("room:lobby"), &json!("joined")))
    );

    let recording = json_lines(&std::fs::read(&file).unwrap());
    std::fs::remove_file(&file).unwrap();
    assert_eq!((&recording[0]["kind"], &recording[0]["vsn"]), (&json!("meta"), &json!("2.0.0")));
    let kinds: Vec<_> = recording[1..]
        .iter()
        .map(|line| format!("{} {}", line["dir"], line["kind"]).replace('"', ""))
        .collect();
    assert_eq!(kinds[..4], ["c2s open", "s2c open_response", "c2s text", "s2c text"]);
    assert_eq!(kinds.last().unwrap(), "s2c tcp_fin");
    assert_eq!(kinds.iter().filter(|kind| *kind == "c2s close").count(), 1);
    assert_eq!(recording[1]["query"], "a=b&vsn=2.0.0");
    assert_eq!(recording[3]["data"], r#"["1","1","room:lobby","phx_join",{}]"#);
}

#[test]
fn a_failure_is_told_by_the_exit_code() {
    let script = |line: &str| {
        let mut child = Command::new(PHX)
            .args([&format!("ws://{}/socket", serve()), "room:lobby", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        child.wait().unwrap()
    };
    assert!(script("push say {}").success());
    assert!(!script("push refuse {}").success());
    assert!(!script("leave room:other").success());
    // One after the other: the leave does not overtake the join and the push.
    assert!(script("push say {}\nleave\n").success());
}

/// Starts a server that answers every message, and tells about bob after a join and about ann after a `say`.
fn serve() -> SocketAddr {
    let (sender, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let message: Value = serde_json::from_str(&text).unwrap();
                let status = if message[3] == "refuse" { "error" } else { "ok" };
                let payload = json!({ "status": status, "response": message[4] });
                let reply = json!([message[0], message[1], message[2], "phx_reply", payload]);
                socket.send(Message::Text(reply.to_string().into())).await.unwrap();
                let one = |reference: &str| json!({ "metas": [{ "phx_ref": reference }] });
                if message[3] == "phx_join" {
                    let state = json!([message[0], null, message[2], "presence_state", { "bob": one("1") }]);
                    socket.send(Message::Text(state.to_string().into())).await.unwrap();
                }
                if message[3] == "say" {
                    let diff = json!({ "joins": { "ann": one("2") }, "leaves": {} });
                    let diff = json!([null, null, message[2], "presence_diff", diff]);
                    socket.send(Message::Text(diff.to_string().into())).await.unwrap();
                }
            }
            // The close frame has come; its answer goes out here.
            while socket.next().await.is_some() {}
        });
    });
    address.recv().unwrap()
}

fn json_lines(text: &[u8]) -> Vec<Value> {
    std::str::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
