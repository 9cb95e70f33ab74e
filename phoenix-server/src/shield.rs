use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Crash;

/// Something of a channel's: a panic while it is dropped is the end of nothing else.
pub(crate) struct Shield<T>(Option<T>);

impl<T> Shield<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self(Some(inner))
    }

    pub(crate) fn inner(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }

    pub(crate) fn inner_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl<F: Future + Unpin> Future for Shield<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(self.inner_mut()).poll(cx)
    }
}

impl<T> Drop for Shield<T> {
    fn drop(&mut self) {
        let inner = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(inner))) {
            tracing::error!(crash = %Crash::from_panic(&*panic), "channel crashed while it was dropped");
        }
    }
}

// `self.0` is reached by `&mut` alone and never pinned.
impl<T> Unpin for Shield<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb");
        }
    }

    #[test]
    fn a_panic_ends_here() {
        drop(Shield::new(Bomb));
    }
}
