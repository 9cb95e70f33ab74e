use phoenix_server::{Channel, Context, Crash, Flow, JoinError, Payload, Status};
use phoenix_server::{ConnectInfo, Refused, Router, Socket};
use serde_json::json;

/// Who connects: anybody.
pub struct UserSocket;

impl Socket for UserSocket {
    async fn connect(_info: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("room:*");
    }
}

/// One client in one room.
pub struct Room;

impl Channel for Room {
    type Socket = UserSocket;
    type Info = ();

    async fn join(_params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        Ok((Self, json!({"welcome_to": cx.topic()}).into()))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "new_msg" => {
                cx.broadcast("new_msg", payload)?;
                Ok(Flow::reply(Status::OK))
            }
            _ => Err(Crash::unhandled(event)),
        }
    }
}
