use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// A deadline that is cheap to move further away, as each received byte does: the timer then fires too
/// early once and is set again.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When the sleep wakes the task, if it knows the waker that the task has now.
    armed: Option<Instant>,
}

impl Timer {
    /// Whether the deadline, or an earlier one that was set before, has passed; otherwise the task is woken
    /// then.
    pub(super) fn poll(&mut self, deadline: Option<Instant>, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.armed.is_some_and(|armed| now < armed && armed <= deadline) {
            return Poll::Pending;
        }
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if sleep.is_elapsed() || sleep.deadline() > deadline.into() {
                    sleep.as_mut().reset(deadline.into());
                }
                sleep
            }
            None => self.sleep.insert(Box::pin(sleep_until(deadline.into()))),
        };
        let polled = sleep.as_mut().poll(cx);
        self.armed = polled.is_pending().then(|| sleep.deadline().into_std());
        polled
    }

    /// The task has another waker than before.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }
}

/// The time as the runtime has it, which tests may have paused.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
