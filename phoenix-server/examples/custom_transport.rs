//! Channels over a Unix socket, one message in each line:
//!
//! ```sh
//! cargo run -p phoenix-server --example custom_transport /tmp/rooms.sock
//! echo '["1","1","room:lobby","phx_join",{}]' | nc -U -q1 /tmp/rooms.sock
//! ```

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, StreamExt};
use phoenix_server::{
    Channel, CloseCode, ConnectInfo, Context as Cx, Crash, Disconnect, Endpoint, Flow, HttpRequest, Incoming,
    JoinError, Outgoing, Payload, Refused, Router, Socket, SocketOptions, Status, Transport,
    TransportOptions,
};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

/// A connection that carries lines.
struct Lines(Framed<UnixStream, LinesCodec>);

const MAX_LINE: usize = 64 * 1024;

impl Lines {
    fn sink(&mut self) -> Pin<&mut impl Sink<String, Error = LinesCodecError>> {
        Pin::new(&mut self.0)
    }
}

impl Transport for Lines {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>> {
        Poll::Ready(match ready!(self.0.poll_next_unpin(cx)) {
            Some(Ok(line)) => {
                incoming.push(Incoming::Text(line.into()));
                Ok(())
            }
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                Err(Disconnect::violation(CloseCode::TOO_BIG))
            }
            Some(Err(_)) | None => Err(Disconnect::GONE),
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        while !outgoing.is_empty() {
            ready!(self.sink().poll_ready(cx)).map_err(io::Error::other)?;
            let frame = outgoing.pop().expect("one is there");
            // JSON has line breaks only between its tokens, where a space does as well.
            let line = String::from_utf8_lossy(&frame.payload()).replace(['\n', '\r'], " ");
            self.sink().start_send(line).map_err(io::Error::other)?;
        }
        self.sink().poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: Option<CloseCode>) -> Poll<()> {
        self.sink().poll_close(cx).map(drop)
    }
}

/// Makes every connection to the Unix socket one of the endpoint.
async fn serve(endpoint: Endpoint, listener: UnixListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let request = http::Request::get("/socket/lines?vsn=2.0.0").body(()).map_err(io::Error::other)?;
        match endpoint.accept("lines", &HttpRequest::new(request.into_parts().0)).await {
            Ok(accepted) => {
                let lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_LINE));
                tokio::spawn(accepted.run(Lines(lines)));
            }
            Err(refused) => eprintln!("{refused}"),
        }
    }
}

struct UserSocket;

impl Socket for UserSocket {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("room:*");
    }
}

struct Room;

impl Channel for Room {
    type Socket = UserSocket;
    type Info = ();

    async fn join(_: Payload, _: &mut Cx<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Cx<Self>) -> Result<Flow, Crash> {
        cx.broadcast(event, payload)?;
        Ok(Flow::reply(Status::OK))
    }
}

fn endpoint() -> Endpoint {
    let options = SocketOptions::new().transport("lines", TransportOptions::new("/lines"));
    Endpoint::builder().socket::<UserSocket>("/socket", options).build().expect("the options are valid")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/rooms.sock".to_owned());
    serve(endpoint(), UnixListener::bind(path)?).await
}

#[cfg(test)]
mod tests {
    use futures_util::SinkExt;

    use super::*;

    #[tokio::test]
    async fn lines_go_both_ways() {
        let path = std::env::temp_dir().join(format!("phoenix-lines-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let server = tokio::spawn(serve(endpoint(), UnixListener::bind(&path).unwrap()));
        let connect = async || Framed::new(UnixStream::connect(&path).await.unwrap(), LinesCodec::new());
        let [mut one, mut two] = [connect().await, connect().await];
        for client in [&mut one, &mut two] {
            client.send(r#"["1","1","room:a","phx_join",{}]"#).await.unwrap();
            let reply = r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#;
            assert_eq!(client.next().await.unwrap().unwrap(), reply);
        }

        one.send(r#"["1","2","room:a","shout",{"n":1}]"#).await.unwrap();
        for client in [&mut one, &mut two] {
            assert_eq!(client.next().await.unwrap().unwrap(), r#"[null,null,"room:a","shout",{"n":1}]"#);
        }

        // A line that is too long ends that connection only.
        two.send("x".repeat(MAX_LINE + 1)).await.unwrap();
        assert!(two.next().await.is_none_or(|line| line.is_err()));
        one.send(r#"[null,"3","phoenix","heartbeat",{}]"#).await.unwrap();
        assert!(one.next().await.unwrap().unwrap().contains(r#""2""#));
        assert!(one.next().await.unwrap().unwrap().contains(r#""3""#));
        server.abort();
        std::fs::remove_file(&path).unwrap();
    }
}
