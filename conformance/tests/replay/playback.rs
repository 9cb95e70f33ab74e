//! Every recording, replayed against the server's part of itself, shows no difference.

use phoenix_conformance::recording;

use crate::support;

#[tokio::test(start_paused = true)]
async fn every_recording_replays_against_itself() {
    let mut failures = Vec::new();
    for bundled in recording::bundled() {
        let name = bundled.name;
        let (report, complaints) = support::replay_through(name, |dial| dial).await;
        if !report.is_ok() {
            failures.push(report.to_text());
        }
        failures.extend(complaints.iter().map(|complaint| format!("{name}, {complaint}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
