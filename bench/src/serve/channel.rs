use std::num::NonZeroU64;

use phoenix_server::{
    Channel, ConnectInfo, Context, Crash, Endpoint, EndpointError, Flow, JoinError, LongPollOptions, Payload,
    Refused, Router, Socket, SocketOptions,
};
use serde_json::{Map, Value, json};

/// The endpoint that every adapter mounts: the bench channel at `/bench`, over both transports.
pub(crate) fn endpoint() -> Result<Endpoint, EndpointError> {
    let options = SocketOptions::new().longpoll(LongPollOptions::new());
    Endpoint::builder().socket::<Anybody>("/bench", options).build()
}

struct Anybody;

impl Socket for Anybody {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Bench>("bench:*");
    }
}

struct Bench;

impl Channel for Bench {
    type Socket = Anybody;
    type Info = ();

    async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "echo" | "binary" => Ok(Flow::ok(payload)),
            "bcast" => {
                cx.broadcast("msg", payload)?;
                Ok(Flow::Continue)
            }
            "burst" => burst(&payload, cx),
            "noreply" => Ok(Flow::Continue),
            unknown => Err(Crash::unhandled(unknown)),
        }
    }
}

fn burst(payload: &Payload, cx: &Context<Bench>) -> Result<Flow, Crash> {
    let mut fields: Map<String, Value> = payload.parse()?;
    let count: NonZeroU64 = serde_json::from_value(fields.remove("n").unwrap_or_default())?;
    for number in 1..=count.get() {
        fields.insert("i".to_owned(), number.into());
        cx.broadcast("msg", Payload::json(&fields)?)?;
    }
    Ok(Flow::ok(json!({ "n": count })))
}
