//! Which recording is replayed when: many side by side, those that stop the server last.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Progress, Replay, run, topics};
use crate::compare::{compare, excused};
use crate::recording::Recording;
use crate::report::{Outcome, Verdict};
use crate::script::Script;

/// A fresh server may take this long to listen.
const RESTART: Duration = Duration::from_secs(10);

/// How often it is looked for.
const RESTART_POLL: Duration = Duration::from_millis(50);

impl Replay {
    pub(super) async fn run_all(&self, mut recordings: Vec<Recording>) -> Vec<Outcome> {
        let total = recordings.len();
        self.tell(0, total, None);
        recordings.sort_by(|left, right| duration(right).total_cmp(&duration(left)));
        let (last, first): (Vec<_>, Vec<_>) = recordings.into_iter().partition(Recording::stops_server);
        let mut outcomes = self.run_side_by_side(first.clone(), total).await;
        for outcome in &mut outcomes {
            let recording = first.iter().find(|recording| recording.name == outcome.name);
            let recording = recording.expect("an outcome is that of a recording");
            while self.is_tried_again(outcome) {
                *outcome = self.job(recording.clone(), outcome.attempts + 1).await;
            }
        }
        for recording in last {
            let outcome = if self.stop.is_some() {
                self.run_to_stop(&recording).await
            } else {
                Outcome::skipped(recording.name)
            };
            self.tell(outcomes.len() + 1, total, Some(&outcome));
            outcomes.push(outcome);
        }
        outcomes.sort_by(|left, right| left.name.cmp(&right.name));
        outcomes
    }

    async fn run_side_by_side(&self, recordings: Vec<Recording>, total: usize) -> Vec<Outcome> {
        let mut pending: VecDeque<(Recording, BTreeSet<String>)> = recordings
            .into_iter()
            .map(|recording| {
                let topics = topics::topics(&recording);
                (recording, topics)
            })
            .collect();
        let mut running: Vec<(String, BTreeSet<String>)> = Vec::new();
        let mut jobs = JoinSet::new();
        let mut outcomes = Vec::new();
        while !pending.is_empty() || !jobs.is_empty() {
            let free = |topics: &BTreeSet<String>| running.iter().all(|(_, other)| topics.is_disjoint(other));
            let next = (running.len() < self.parallel)
                .then(|| pending.iter().position(|(_, topics)| free(topics)))
                .flatten()
                .and_then(|index| pending.remove(index));
            if let Some((recording, topics)) = next {
                running.push((recording.name.clone(), topics));
                jobs.spawn(self.job(recording, 1));
                continue;
            }
            if let Some(joined) = jobs.join_next().await {
                let outcome = joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                running.retain(|(name, _)| *name != outcome.name);
                self.tell(outcomes.len() + 1, total, Some(&outcome));
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    /// Replays a recording in which the server is stopped, and leaves a fresh one.
    async fn run_to_stop(&self, recording: &Recording) -> Outcome {
        let mut attempt = 1;
        loop {
            let outcome = self.job(recording.clone(), attempt).await;
            self.restart_server().await;
            if !self.is_tried_again(&outcome) {
                return outcome;
            }
            attempt += 1;
        }
    }

    fn is_tried_again(&self, outcome: &Outcome) -> bool {
        let deviations = self.deviations.on(self.name.as_deref());
        let failed = outcome.differences.iter().any(|difference| deviations.allowing(difference).is_none());
        failed && outcome.attempts <= self.again
    }

    fn job(&self, recording: Recording, attempt: u32) -> impl Future<Output = Outcome> + Send + 'static {
        let (server, stop) = (self.server.clone(), self.stop.clone());
        let (patience, order) = (self.patience, self.order);
        let deviations = self.deviations.on(self.name.as_deref());
        async move {
            let start = Instant::now();
            let script = Script::new(&recording);
            let excused = excused(&recording, &script, &deviations);
            let observed = run::run(&recording, &script, excused, &server, stop.as_ref(), patience).await;
            let differences = compare(&recording, &script, &observed, order);
            let verdict = if differences.is_empty() { Verdict::Passed } else { Verdict::Failed };
            Outcome::new(recording.name, verdict, differences, start.elapsed(), attempt)
        }
    }

    /// Starts a fresh server and waits until it listens. If it does not, the next recording shows that.
    async fn restart_server(&self) {
        let Some(restart) = &self.restart else { return };
        restart().await;
        let listening = async {
            while self.server.ctl.dial().await.is_err() {
                sleep(RESTART_POLL).await;
            }
        };
        let _ = timeout(RESTART, listening).await;
    }

    fn tell(&self, done: usize, total: usize, latest: Option<&Outcome>) {
        if let Some(watch) = &self.watcher {
            watch(Progress { done, total, latest });
        }
    }
}

fn duration(recording: &Recording) -> f64 {
    recording.entries.last().map_or(0.0, |entry| entry.t)
}
