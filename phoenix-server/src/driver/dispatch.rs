use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::connection::ChannelDriver;
use super::raw::RawDriver;
use crate::transport::Transport;

/// A running connection: a future that moves frames between its transport and its socket until the connection ends.
///
/// Wait direction: the driver waits for the transport and for the callbacks; nothing waits for the driver.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Driver<T: Transport> {
    kind: Kind<T>,
}

#[expect(clippy::large_enum_variant, reason = "almost all connections are of the large one")]
enum Kind<T: Transport> {
    Channels(ChannelDriver<T>),
    Raw(Box<RawDriver<T>>),
}

impl<T: Transport> Driver<T> {
    pub(super) fn channels(driver: ChannelDriver<T>) -> Self {
        Self { kind: Kind::Channels(driver) }
    }

    pub(super) fn raw(driver: RawDriver<T>) -> Self {
        Self { kind: Kind::Raw(Box::new(driver)) }
    }

    /// The transport, for a framework that moves its bytes.
    pub fn transport_mut(&mut self) -> &mut T {
        match &mut self.kind {
            Kind::Channels(driver) => driver.transport_mut(),
            Kind::Raw(driver) => driver.transport_mut(),
        }
    }
}

impl<T: Transport> Future for Driver<T> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.get_mut().kind {
            Kind::Channels(driver) => Pin::new(driver).poll(cx),
            Kind::Raw(driver) => driver.poll(cx),
        }
    }
}

impl<T: Transport> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Channels(driver) => driver.fmt(f),
            Kind::Raw(driver) => driver.fmt(f),
        }
    }
}
