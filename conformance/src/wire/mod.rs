//! Bytes on the wire, written and read by hand so that nothing is corrected on the way.

mod decoder;
mod frame;
mod http;

pub(crate) use decoder::Decoder;
pub(crate) use frame::{encode as encode_frame, encode_partial};
pub(crate) use http::{encode_request, encode_response};
