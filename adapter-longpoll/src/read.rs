//! Bodies of requests, within their limit.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;

/// A body that is not read to its end.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// It is larger than it may be; the rest is not read.
    #[error("the body is too large")]
    TooLarge,
    /// The connection broke.
    #[error("the body broke off")]
    Broken,
}

/// Reads a body of at most `limit` bytes; larger ones are given up as soon as they are known to be, which is at
/// once if the length is announced.
pub(crate) async fn read<B>(body: B, headers: &HeaderMap, limit: usize) -> Result<Bytes, ReadError>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(ReadError::TooLarge);
    }
    let mut body = std::pin::pin!(Limited::new(body, limit));
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() { ReadError::TooLarge } else { ReadError::Broken }
        })?;
        let Ok(mut data) = frame.into_data() else { continue };
        // Most bodies come in one piece, which is not copied.
        if first.is_empty() && all.is_empty() {
            first = data.copy_to_bytes(data.remaining());
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.put(data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// A body without a known length; `None` breaks it off.
    struct Pieces(VecDeque<Option<&'static str>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop_front().map(|piece| match piece {
                Some(piece) => Ok(Frame::data(Bytes::from_static(piece.as_bytes()))),
                None => Err(std::io::ErrorKind::ConnectionReset.into()),
            }))
        }
    }

    #[tokio::test]
    async fn the_limit_holds_while_a_body_comes() {
        for (pieces, expected) in [
            (vec![], Ok("")),
            (vec![Some("abcd")], Ok("abcd")),
            (vec![Some("ab"), Some(""), Some("c"), Some("d")], Ok("abcd")),
            (vec![Some("abc"), Some("de"), None], Err("the body is too large")),
            (vec![Some("abc"), None], Err("the body broke off")),
        ] {
            let body = Pieces(pieces.into());
            let result = read(body, &HeaderMap::new(), 4).await.map_err(|error| error.to_string());
            assert_eq!(result, expected.map(Bytes::from).map_err(str::to_owned));
        }
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_large_is_not_read() {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, 5.into())]);
        let body = Pieces([None].into());
        assert!(matches!(read(body, &headers, 4).await, Err(ReadError::TooLarge)));
    }
}
