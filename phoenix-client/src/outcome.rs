//! What is under way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How something ends that was begun by the call that returned this.
///
/// Awaiting it tells the end. Dropping it undoes nothing, so that a push whose answer does not matter is a
/// statement of its own.
pub struct Outcome<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Outcome<T> {
    pub(crate) fn new(end: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(end))
    }
}

impl<T> Future for Outcome<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> std::fmt::Debug for Outcome<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome").finish_non_exhaustive()
    }
}
