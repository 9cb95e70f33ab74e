//! The programs of the project's README, and the code in its documents, so that all of it compiles.

mod room;

pub use room::{Room, UserSocket};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/TRANSPORTS.md")]
mod transports {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/coming-from-phoenix.md")]
mod coming_from_phoenix {}
