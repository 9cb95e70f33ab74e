//! Every recording, replayed against the server's part of itself, shows no difference.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use phoenix_conformance::net::{Dial, Stream};
use phoenix_conformance::recording;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, duplex, split};
use tokio::time::sleep;

use crate::support::{self, Playback};

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

/// A server behind a slow network is no other server.
#[tokio::test(start_paused = true)]
async fn latency_is_no_difference() {
    let mut failures = Vec::new();
    for bundled in recording::bundled() {
        let (report, _) = support::replay_through(bundled.name, |dial| Arc::new(Slow(dial))).await;
        if !report.is_ok() {
            failures.push(report.to_text());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_tried_again_as_often_as_wanted_and_its_attempts_are_told() {
    for (again, attempts, is_ok) in [(0, 1, false), (1, 2, false), (2, 3, true), (3, 3, true)] {
        let recording = support::recording("ws_push_replies.v2");
        let busy = Busy { server: Playback::start(recording.clone()), refusals: AtomicU32::new(2) };
        let report =
            support::replay(Arc::new(busy)).recordings([recording]).again(again).run().await.unwrap();
        assert_eq!((report.outcomes[0].attempts, report.is_ok()), (attempts, is_ok), "{}", report.to_text());
    }
}

/// Accepts a connection only after so many refusals.
struct Busy {
    server: Playback,
    refusals: AtomicU32,
}

impl Dial for Busy {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let refused =
            self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match refused {
            Ok(_) => Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) }),
            Err(_) => self.server.dial(),
        }
    }
}

/// Hands on what a server says a while later.
struct Slow(Arc<dyn Dial>);

const LATENCY: Duration = Duration::from_millis(40);

impl Dial for Slow {
    fn dial(&self) -> BoxFuture<'static, io::Result<Stream>> {
        let dialing = self.0.dial();
        Box::pin(async move {
            let (mut from_server, mut to_server) = split(dialing.await?);
            let (ours, theirs) = duplex(64 * 1024);
            let (mut from_client, mut to_client) = split(theirs);
            tokio::spawn(async move {
                // Either side may go before the other.
                let _ = copy(&mut from_client, &mut to_server).await;
                let _ = to_server.shutdown().await;
            });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    sleep(LATENCY).await;
                    if to_client.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
                sleep(LATENCY).await;
                let _ = to_client.shutdown().await;
            });
            Ok(Stream::new(ours))
        })
    }
}
