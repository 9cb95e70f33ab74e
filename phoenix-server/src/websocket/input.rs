//! What was read from the socket.

use std::mem;

/// Bytes to be consumed from the front, and overwritten while at it.
#[derive(Debug)]
pub(crate) struct Input<'a>(&'a mut [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// Consumes `length` bytes, or all if there are fewer.
    pub(crate) fn take(&mut self, length: usize) -> &'a mut [u8] {
        let bytes = mem::take(&mut self.0);
        let (taken, rest) = bytes.split_at_mut(length.min(bytes.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn clear(&mut self) {
        self.0 = &mut [];
    }

    /// What is not consumed yet.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
