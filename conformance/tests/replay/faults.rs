//! The mutation check: a replay notices every fault of a server, wherever it had an effect.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use phoenix_conformance::{Fault, FaultyDial};

use crate::support;

/// Together these give every fault an opportunity.
const RECORDINGS: [&str; 9] = [
    "lp_raw_session.v2",
    "lp_session_phoenixjs.v2",
    "ws_binary.v2",
    "ws_connect_heartbeat.v1",
    "ws_connect_refused.v2",
    "ws_frames.v2",
    "ws_leave.v2",
    "ws_presence.v2",
    "ws_push_replies.v2",
];

#[tokio::test(start_paused = true)]
async fn every_fault_is_noticed_wherever_it_had_an_effect() {
    let mut unnoticed = Vec::new();
    for fault in Fault::ALL {
        let mut effects = 0;
        for name in RECORDINGS {
            let mut applied = None;
            let (report, _) = support::replay_through(name, |server| {
                let faulty = FaultyDial::new(server, fault);
                applied = Some(faulty.applied());
                Arc::new(faulty)
            })
            .await;
            let applied = applied.unwrap().load(Ordering::SeqCst);
            effects += applied;
            if (applied > 0) == report.is_ok() {
                unnoticed.push(format!("{fault:?} in {name}, applied {applied} times\n{}", report.to_text()));
            }
        }
        if effects == 0 {
            unnoticed.push(format!("{fault:?} had no opportunity"));
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}
