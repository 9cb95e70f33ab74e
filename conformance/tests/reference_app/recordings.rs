//! Every recording, replayed against the reference application on every adapter.
//!
//! The table of results in the README is compared with what this run gives; `UPDATE_TABLE=1` rewrites it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use phoenix_conformance::{Deviations, Replay, Report, Verdict, recording};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::server::{ADAPTERS, Server, root};

/// The longest recording takes a minute.
const LIMIT: Duration = Duration::from_secs(480);

/// Replayed one after the other: messages of ten million bytes keep an unoptimised build busy for seconds, which the
/// timers of others do not survive; and the session of `lp_gone` has to live through seven pauses with 150 ms to spare.
const ALONE: [&str; 3] = ["lp_gone.v2", "lp_post_bodies.v2", "ws_max_frame_size.v2"];

#[tokio::test(flavor = "multi_thread")]
async fn every_adapter_answers_as_recorded() {
    let mut reports = Vec::new();
    for adapter in ADAPTERS {
        reports.push(timeout(LIMIT, replay(adapter, |name| ALONE.contains(&name))).await);
    }
    let [warp, actix, axum] =
        ADAPTERS.map(|adapter| timeout(LIMIT, replay(adapter, |name| !ALONE.contains(&name))));
    let (warp, actix, axum) = tokio::join!(warp, actix, axum);
    reports.extend([warp, actix, axum]);
    let reports: Vec<Report> =
        reports.into_iter().map(|report| report.expect("the replay ends in time")).collect();
    let failures: Vec<String> = ADAPTERS
        .iter()
        .cycle()
        .zip(&reports)
        .flat_map(|(adapter, report)| failures(adapter, report))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    compare_table(&table(&reports));
}

/// One line for each recording that failed, so that the first lines of a long report tell most.
fn failures(adapter: &str, report: &Report) -> Vec<String> {
    let stale = report.stale_deviations.iter().map(|id| format!("{adapter}: {id} does not occur"));
    let failed = report.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Passed);
    let failed = failed.map(|outcome| match outcome.failures().next() {
        Some(first) => format!("{adapter}: {first}\n- {}\n+ {}", first.recorded, first.actual),
        None => format!("{adapter}: {} {:?}", outcome.name, outcome.verdict),
    });
    stale.chain(failed).collect()
}

async fn replay(adapter: &'static str, chosen: impl Fn(&str) -> bool) -> Report {
    let server = Server::start(adapter).await;
    let (url, port) = (server.url(), server.port());
    let running = Arc::new(Mutex::new(server));
    let (stopping, restarting) = (Arc::clone(&running), Arc::clone(&running));
    let recordings = recording::bundled().into_iter().filter(|recording| chosen(recording.name));
    let report = Replay::new(&url)
        .unwrap()
        .recordings(recordings.map(|recording| recording.parse().unwrap()))
        .server(adapter)
        .deviations(Deviations::open(root().join("../docs/DEVIATIONS.md")).unwrap())
        .patience(Duration::from_secs(10))
        .parallel(if chosen(ALONE[0]) { 1 } else { 4 })
        .on_stop(move || {
            let running = Arc::clone(&stopping);
            async move { running.lock().await.terminate().await }
        })
        .on_restart(move || {
            let running = Arc::clone(&restarting);
            async move {
                let mut server = running.lock().await;
                // A recording has stopped it: it drains and exits without an error.
                server.ended().await;
                *server = Server::start_at(adapter, port).await;
            }
        })
        .run()
        .await
        .unwrap();
    let mut server = running.lock().await;
    server.terminate().await;
    server.ended().await;
    report
}

/// Recording × adapter, as Markdown. Reports on the same recordings are in the order of [`ADAPTERS`].
fn table(reports: &[Report]) -> String {
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for outcome in reports.iter().flat_map(|report| &report.outcomes) {
        let mut ids: Vec<&str> =
            outcome.differences.iter().filter_map(|difference| difference.allowed_by.as_deref()).collect();
        ids.sort_unstable();
        ids.dedup();
        rows.entry(outcome.name.clone()).or_default().push(match outcome.verdict {
            Verdict::Passed if ids.is_empty() => "passes".to_owned(),
            Verdict::Passed => format!("passes, with {}", ids.join(", ")),
            verdict => format!("{verdict:?}"),
        });
    }
    let mut table = format!("| recording | {} |\n|---|---|---|---|\n", ADAPTERS.join(" | "));
    for (name, cells) in rows {
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    }
    table
}

fn compare_table(table: &str) {
    const BEGIN: &str = "<!-- results of `cargo test -p phoenix-conformance --test reference_app` -->\n";
    const END: &str = "<!-- end of results -->";
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let begin = readme.find(BEGIN).expect("the README has a place for the table") + BEGIN.len();
    let end = begin + readme[begin..].find(END).expect("the table has an end");
    if std::env::var_os("UPDATE_TABLE").is_some() {
        std::fs::write(&path, format!("{}{table}{}", &readme[..begin], &readme[end..])).unwrap();
    } else {
        assert_eq!(&readme[begin..end], table, "the table is stale; UPDATE_TABLE=1 rewrites it");
    }
}
