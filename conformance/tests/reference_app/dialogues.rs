//! Dialogues written after what is known of Phoenix, for what no recording of this crate shows.

use std::time::Duration;

use phoenix_conformance::Replay;
use tokio::time::timeout;

use crate::dialogue;
use crate::server::{ADAPTERS, Server, root};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn every_adapter_keeps_to_the_dialogues() {
    let [warp, actix, axum] = ADAPTERS.map(|adapter| timeout(LIMIT, play(adapter)));
    let (warp, actix, axum) = tokio::join!(warp, actix, axum);
    let failures: Vec<String> =
        [warp, actix, axum].into_iter().filter_map(|failure| failure.expect("the dialogues end")).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The report, if anything differs.
async fn play(adapter: &str) -> Option<String> {
    let server = Server::start(adapter).await;
    let mut files: Vec<_> = std::fs::read_dir(root().join("tests/reference_app/dialogues"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 10, "the dialogues are there");
    let dialogues = files.iter().map(|file| {
        let name = file.file_stem().unwrap().to_string_lossy();
        dialogue::parse(&name, &std::fs::read_to_string(file).unwrap())
    });
    let report = Replay::new(&server.url())
        .unwrap()
        .recordings(dialogues)
        .exact_order()
        .patience(Duration::from_secs(10))
        .parallel(16)
        .run()
        .await
        .unwrap();
    (!report.is_ok()).then(|| format!("{adapter}:\n{}", report.to_text()))
}
