//! A recording that `phx` makes is one of the conformance suite.

use std::path::PathBuf;
use std::process::Stdio;

use phoenix_client::Transport;
use phoenix_conformance::Replay;
use phoenix_conformance::recording::{Item, Recording};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::server::World;

/// It can be read, and replayed against the server: that says the same again.
pub(crate) async fn phx_records_what_can_be_replayed(world: World) {
    let file = TemporaryFile::new(world.proxy.address.port());
    let mut child = Command::new(env!("CARGO_BIN_EXE_phx"))
        .arg(format!("ws://{}/socket", world.proxy.address))
        .args(["room:1", "--json", "-p", "a=b", "--record"])
        .arg(&file.0)
        .args((world.transport == Transport::LongPoll).then_some("--long-poll"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("phx");
    let script = "push echo {\"n\":1}\nbinary size AQI=\npush shout {\"n\":2}\njoin room:2 {}\nleave\n";
    let mut input = child.stdin.take().expect("piped");
    input.write_all(script.as_bytes()).await.expect("it reads");
    drop(input);
    assert!(child.wait().await.expect("phx").success());

    let mut recording = Recording::open(&file.0).expect("the format of the suite");
    assert_eq!(recording.meta().expect("a first line").vsn.as_deref(), Some("2.0.0"));
    let known = |item: &Item| !matches!(item, Item::Other(_));
    assert!(recording.entries.iter().all(|entry| known(&entry.item)), "every line is one of the suite");
    assert!(recording.entries.len() > 12);

    // A replay expects a wait where there was one, and a busy machine waits for nothing but itself.
    for (index, entry) in (0_u32..).zip(&mut recording.entries) {
        entry.t = f64::from(index);
    }
    let url = format!("http://{}", world.server.address);
    Replay::new(&url)
        .expect("a URL")
        .recordings([recording])
        .run()
        .await
        .expect("it can be played")
        .assert_ok();
}

/// A file that goes with the test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// The number is that of something that nobody else has at this time.
    fn new(number: u16) -> Self {
        Self(std::env::temp_dir().join(format!("phx-{}-{number}.jsonl", std::process::id())))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // If there is none, the test has failed already.
        let _ = std::fs::remove_file(&self.0);
    }
}
