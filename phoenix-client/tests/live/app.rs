//! The application on the server: rooms, for whoever has a token that is good.

use std::marker::PhantomData;
use std::sync::LazyLock;
use std::time::Duration;

use phoenix_server::{
    Channel, ConnectInfo, Context, Crash, Endpoint, Flow, JoinError, LongPollOptions, MaxAge, Payload,
    Presence, Refused, Router, SecretKeyBase, Signer, Socket, SocketOptions, Status, UnixMillis,
};
use serde_json::{Value, json};

/// When it is, for tokens.
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// How long a token is good.
const MAX_AGE: Duration = Duration::from_secs(600);

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let secret = SecretKeyBase::new("s".repeat(64)).expect("it is long enough");
    Signer::new(&secret, "user socket")
});

/// The name of the presence that says who is in which room.
const PRESENCE: &str = "rooms";

/// Lives as long as the presence does.
pub(crate) fn endpoint() -> (Endpoint, Presence) {
    let endpoint = Endpoint::builder()
        .socket::<Open>("/socket", both())
        .socket::<Open>("/poll_only", both().without_websocket())
        .socket::<Guarded>("/guarded", both().auth_token(true))
        .build()
        .expect("valid options");
    let presence = Presence::builder(PRESENCE).start(endpoint.pubsub()).expect("the first of this name");
    (endpoint, presence)
}

/// Both transports; polls do not wait long, as it is them that find out that a session is gone.
fn both() -> SocketOptions {
    SocketOptions::new().longpoll(LongPollOptions::new().window(Duration::from_secs(1)))
}

/// A token of a user that was signed so long ago.
pub(crate) fn token(user: &str, age: Duration) -> String {
    let signed = UnixMillis(NOW.0 - u64::try_from(age.as_millis()).expect("not that long"));
    SIGNER.sign(&user, MaxAge::Limited(MAX_AGE), signed).expect("a string is JSON")
}

/// Whoever does not say otherwise may connect.
struct Open;

impl Socket for Open {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        if info.params.text("refuse").is_some() { Err(Refused::new()) } else { Ok(Self) }
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room<Self>>("room:*");
    }
}

/// Whoever has a good token may connect.
struct Guarded {
    user: String,
}

impl Socket for Guarded {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        let user = SIGNER.verify(info.auth_token.as_deref(), None, NOW).map_err(|_| Refused::new())?;
        Ok(Self { user })
    }

    fn id(&self) -> Option<String> {
        Some(format!("user:{}", self.user))
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room<Self>>("room:*");
    }
}

struct Room<S> {
    presence: Presence,
    socket: PhantomData<S>,
}

/// Whoever has a name is present.
struct Enter(String);

impl<S: Socket> Channel for Room<S> {
    type Socket = S;
    type Info = Enter;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let params: Value = params.parse().map_err(|_| JoinError::refuse(json!({})))?;
        if params["refuse"] == true {
            return Err(JoinError::refuse(json!({ "reason": "not you" })));
        }
        if let Some(name) = params["name"].as_str() {
            cx.handle().send(Enter(name.to_owned()))?;
        }
        let room = Self { presence: cx.presence(PRESENCE)?, socket: PhantomData };
        Ok((room, json!({ "topic": cx.topic(), "params": params }).into()))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "echo" => Ok(Flow::Reply(Status::OK, payload)),
            "size" => {
                let Payload::Binary(bytes) = payload else { return Err(Crash::new("not binary")) };
                Ok(Flow::ok(json!({ "size": bytes.len() })))
            }
            "fail" => Ok(Flow::Reply(Status::ERROR, payload)),
            "shout" => {
                cx.broadcast("shout", payload)?;
                Ok(Flow::reply(Status::OK))
            }
            "whisper" => {
                cx.push("whisper", payload)?;
                Ok(Flow::Continue)
            }
            "stop" => Ok(Flow::StopWith(Status::OK, payload)),
            "crash" => panic!("a crash that was asked for"),
            _ => Err(Crash::unhandled(event)),
        }
    }

    async fn handle_info(&mut self, Enter(name): Enter, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        self.presence.track(cx, &name, json!({}))?;
        self.presence.push_state(cx).await?;
        Ok(Flow::Continue)
    }
}
