//! Who may connect: one type for each socket of the original.

use phoenix_server::{ConnectInfo, Param, Params, Refused, Router, Socket};
use serde_json::{Value, json};

use super::channels;
use super::connect_info;

/// What the channels show of their socket.
pub(super) trait AppSocket: Socket {
    fn seen(&self) -> &Seen;
}

/// What a socket keeps of its request.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) params: Value,
    pub(super) connect_info: Value,
    id: Option<String>,
}

/// Lets everybody in and shows what it was told.
pub(super) struct UserSocket(Seen);

/// Lets in who has the token `good`.
pub(super) struct AuthSocket(Seen);

/// Like [`AuthSocket`], with reasons.
pub(super) struct AuthErrSocket(Seen);

/// Lets in whose authentication token is not `bad`.
pub(super) struct TokenSocket(Seen);

/// Lets everybody in; what differs is the mount.
pub(super) struct OpenSocket(Seen);

/// For load tests.
pub(super) struct BenchSocket;

/// Why [`AuthErrSocket`] refuses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Denial {
    RateLimit { seconds: u32 },
    Unauthorized,
}

impl Seen {
    fn new(params: &Params) -> Self {
        Self { params: json!(params), connect_info: json!({}), id: None }
    }

    fn with_info(info: &ConnectInfo) -> Self {
        Self { connect_info: connect_info::to_json(info), ..Self::new(&info.params) }
    }
}

impl Socket for UserSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        let id = info.params.get("user_id").map(|user| format!("users:{}", interpolated(user)));
        Ok(Self(Seen { id, ..Seen::with_info(&info) }))
    }

    fn id(&self) -> Option<String> {
        self.0.id.clone()
    }

    fn channels(router: &mut Router<Self>) {
        channels::shared(router);
    }
}

impl Socket for AuthSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        match info.params.text("token") {
            Some("good") => {
                let user = info.params.get("user_id").map_or_else(|| "1".to_owned(), interpolated);
                Ok(Self(Seen { id: Some(format!("users:{user}")), ..Seen::new(&info.params) }))
            }
            Some("raise") => panic!("connect raised"),
            _ => Err(Refused::new()),
        }
    }

    fn id(&self) -> Option<String> {
        self.0.id.clone()
    }

    fn channels(router: &mut Router<Self>) {
        channels::shared(router);
    }
}

impl Socket for AuthErrSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        match info.params.text("token") {
            Some("good") => Ok(Self(Seen::new(&info.params))),
            Some("slow") => Err(Refused::because(Denial::RateLimit { seconds: 30 })),
            _ => Err(Refused::because(Denial::Unauthorized)),
        }
    }

    fn channels(router: &mut Router<Self>) {
        channels::shared(router);
    }
}

impl Socket for TokenSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        match info.auth_token.as_deref() {
            Some("bad") => Err(Refused::new()),
            _ => Ok(Self(Seen::with_info(&info))),
        }
    }

    fn channels(router: &mut Router<Self>) {
        channels::shared(router);
    }
}

impl Socket for OpenSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self(Seen::new(&info.params)))
    }

    fn channels(router: &mut Router<Self>) {
        channels::shared(router);
    }
}

impl Socket for BenchSocket {
    async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self)
    }

    fn channels(router: &mut Router<Self>) {
        channels::bench(router);
    }
}

macro_rules! app_sockets {
    ($($socket:ident),*) => {
        $(impl AppSocket for $socket {
            fn seen(&self) -> &Seen {
                &self.0
            }
        })*
    };
}

app_sockets!(UserSocket, AuthSocket, AuthErrSocket, TokenSocket, OpenSocket);

/// A parameter inside of a text: a list is its items in a row, and a map has no such form.
fn interpolated(param: &Param) -> String {
    match param {
        Param::Text(text) => text.clone(),
        Param::List(items) => items.iter().map(interpolated).collect(),
        Param::Map(_) => panic!("a map is no text"),
    }
}
