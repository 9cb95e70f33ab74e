//! The WebSocket layer of a connection (RFC 6455, RFC 7692) as pure machines: bytes in, events and bytes out.
//!
//! Nothing here does IO or reads a clock. A driver
//!
//! 1. answers the upgrade request with [`accept_key`] and, if compression is enabled, [`DeflateParams::negotiate`];
//! 2. hands whatever it reads from the socket to [`Reader::next_event`] until that returns `None`;
//! 3. answers [`Event::Ping`] with [`pong_frame`] and [`Event::Close`] with [`close_frame`] of [`close_answer`];
//! 4. answers a [`ProtocolError`] with [`close_frame`] of its [`ProtocolError::close_code`];
//! 5. writes messages behind a header of [`write_header`], or as [`Deflater::frame`] if compression was negotiated.

mod close;
mod deflate;
mod error;
mod extension;
mod handshake;
mod header;
mod input;
mod mask;
mod options;
mod pending;
mod reader;
mod writer;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod testing;

pub(crate) use close::close_answer;
pub(crate) use deflate::{Deflater, Inflater};
pub(crate) use error::ProtocolError;
pub(crate) use extension::DeflateParams;
pub(crate) use handshake::accept_key;
pub(crate) use header::Opcode;
pub(crate) use input::Input;
pub use options::DeflateOptions;
pub(crate) use phoenix_proto::server::CloseCode;
pub(crate) use reader::{Event, Reader, ReaderConfig};
pub(crate) use writer::{close_frame, pong_frame};
