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
    /// Whether the sleep knows the waker that the task has now.
    armed: bool,
}

impl Timer {
    /// Whether the deadline, or an earlier one that was set before, has passed; otherwise the task is woken
    /// then.
    pub(super) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline.map(Into::into) else { return Poll::Pending };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                let elapsed = sleep.is_elapsed();
                if sleep.deadline() > deadline || elapsed {
                    sleep.as_mut().reset(deadline);
                } else if self.armed {
                    return Poll::Pending;
                }
                sleep
            }
            None => self.sleep.insert(Box::pin(sleep_until(deadline))),
        };
        let polled = sleep.as_mut().poll(cx);
        self.armed = polled.is_pending();
        polled
    }

    /// The task has another waker than before.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}

/// The time as the runtime has it, which tests may have paused.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
