//! Bytes on the wire, written and read by hand so that nothing is corrected on the way.

mod decoder;
mod frame;
mod http;
mod tap;

use crate::recording::Event;
pub use decoder::Decoder;
pub(crate) use frame::encode_partial;
pub(crate) use tap::Tap;

/// The bytes of an event exactly as described; `None` if they are not known, or the event has none.
///
/// Invalid frames and requests are encoded like valid ones. Abbreviated payloads are rebuilt.
pub fn encode(event: &Event) -> Option<Vec<u8>> {
    match event {
        Event::Request(request) => Some(http::encode_request(request, &request.body.rebuild()?)),
        Event::Response(response) => Some(http::encode_response(response, &response.body.rebuild()?)),
        Event::Frame(frame) => {
            let mut bytes = Vec::new();
            frame::encode(frame, &frame.payload.rebuild()?, &mut bytes);
            Some(bytes)
        }
        Event::Fin(_) | Event::Rst | Event::Error(_) => None,
    }
}
