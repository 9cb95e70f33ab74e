//! Presence over whole connections: what clients get and in which order, and that no presence outlives its channel.

use phoenix_server::{
    Channel, ConnectInfo, Context, Crash, Endpoint, Flow, JoinError, LocalCluster, Payload, Presence, PubSub,
    Refused, Router, Socket, SocketOptions, TransportOptions,
};
use serde_json::{Value, json};

use crate::support::{Client, PATIENCE, broadcast, closed, crashed, memory, probe, pushed, reply_to};

struct PresenceSocket {
    user: String,
}

impl Socket for PresenceSocket {
    async fn connect(info: ConnectInfo) -> Result<Self, Refused> {
        Ok(Self { user: info.params.text("user").unwrap_or("anon").to_owned() })
    }

    fn id(&self) -> Option<String> {
        Some(format!("users:{}", self.user))
    }

    fn channels(router: &mut Router<Self>) {
        router.channel::<Room>("*");
    }
}

/// A room as in the reference application.
struct Room {
    presence: Presence,
}

enum Info {
    AfterJoin,
    Abort,
}

impl Channel for Room {
    type Socket = PresenceSocket;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        let presence = cx.presence("test")?;
        match params.parse::<Value>()?["join"].as_str() {
            Some("quiet") => {}
            Some("track_in_join") => drop(presence.track(cx, &cx.socket().user.clone(), json!({}))?),
            Some("track_and_refuse") => {
                presence.track(cx, &cx.socket().user.clone(), json!({}))?;
                return Err(JoinError::refuse(json!({})));
            }
            _ => cx.handle().send(Info::AfterJoin)?,
        }
        Ok((Self { presence }, Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        let payload: Value = payload.parse()?;
        let user = cx.socket().user.clone();
        match event {
            "status" => {
                let phx_ref = self.presence.update(cx, &user, &payload)?;
                return Ok(Flow::ok(json!({"ref": phx_ref.to_string()})));
            }
            "untrack" => {
                self.presence.untrack(cx, &user);
                return Ok(Flow::ok(Payload::EMPTY));
            }
            "elsewhere" => drop(self.presence.of(cx).track("elsewhere", &user, json!({}))?),
            "list" => return Ok(Flow::ok(&self.presence.list(cx.topic()).await)),
            "track_and_wait" => {
                self.presence.track(cx, "waiting", json!({}))?;
                std::future::pending::<()>().await;
            }
            "abort" => cx.handle().send(Info::Abort)?,
            _ => return Err(Crash::unhandled(event)),
        }
        Ok(Flow::Continue)
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match info {
            Info::AfterJoin => {
                let user = cx.socket().user.clone();
                self.presence.track(cx, &user, json!({"status": "online"}))?;
                self.presence.push_state(cx).await?;
            }
            Info::Abort => cx.handle().abort()?,
        }
        Ok(Flow::Continue)
    }
}

/// An endpoint and its presence.
struct Server {
    endpoint: Endpoint,
    presence: Presence,
}

impl Server {
    fn new(pubsub: PubSub) -> Self {
        let presence = Presence::builder("test").start(&pubsub).unwrap();
        let options = SocketOptions::new().transport("memory", TransportOptions::new("memory"));
        let endpoint =
            Endpoint::builder().pubsub(pubsub).socket::<PresenceSocket>("/socket", options).build();
        Self { endpoint: endpoint.unwrap(), presence }
    }

    async fn connect(&self, user: &str) -> Client {
        memory(&self.endpoint, &probe(), &format!("user={user}")).await
    }

    /// A client that is in the room and has seen itself come.
    async fn enter(&self, user: &str) -> (Client, String) {
        let mut client = self.connect(user).await;
        client.join("room", &json!({})).await;
        let diff = client.recv().await;
        let phx_ref = diff[4]["joins"][user]["metas"][0]["phx_ref"].as_str().expect("a diff comes first");
        let (event, phx_ref) = (client.recv().await[3].clone(), phx_ref.to_owned());
        assert_eq!(event, "presence_state");
        (client, phx_ref)
    }
}

#[tokio::test(start_paused = true)]
async fn x_30_a_client_gets_its_diff_and_the_state_and_others_the_diff() {
    let server = Server::new(PubSub::local());
    let mut alice = server.connect("alice").await;
    alice.join("room", &json!({})).await;
    let phx_ref = server.presence.snapshot("room").iter().next().unwrap().meta().phx_ref().unwrap();
    let meta = json!({"alice": {"metas": [{"status": "online", "phx_ref": phx_ref}]}});
    alice
        .expect([
            broadcast("room", "presence_diff", json!({"joins": meta, "leaves": {}})),
            pushed("room", "presence_state", meta.clone()),
        ])
        .await;
    let (mut bob, bob_ref) = server.enter("bob").await;
    let joined = json!({"bob": {"metas": [{"status": "online", "phx_ref": bob_ref}]}});
    alice.expect([broadcast("room", "presence_diff", json!({"joins": joined, "leaves": {}}))]).await;
    bob.push("5", "room", "list", &json!({}));
    let mut both = meta;
    both["bob"] = joined["bob"].clone();
    bob.expect([reply_to("5", "room", "ok", both)]).await;
}

#[tokio::test(start_paused = true)]
async fn the_reply_of_a_callback_comes_before_the_diff_it_caused() {
    let server = Server::new(PubSub::local());
    let (mut alice, first) = server.enter("alice").await;
    alice.push("5", "room", "status", &json!({"n": 1}));
    alice.push("6", "room", "status", &json!({"n": 2}));
    let mut previous = json!({"status": "online", "phx_ref": first});
    for (reference, n) in [("5", 1), ("6", 2)] {
        let reply = alice.recv().await;
        let phx_ref = reply[4]["response"]["ref"].clone();
        assert_eq!(reply, reply_to(reference, "room", "ok", json!({"ref": phx_ref})));
        let meta = json!({"n": n, "phx_ref": phx_ref, "phx_ref_prev": previous["phx_ref"]});
        let diff = json!({"joins": {"alice": {"metas": [meta]}}, "leaves": {"alice": {"metas": [previous]}}});
        alice.expect([broadcast("room", "presence_diff", diff)]).await;
        previous = meta;
    }
    alice.push("7", "room", "untrack", &json!({}));
    let diff = json!({"joins": {}, "leaves": {"alice": {"metas": [previous]}}});
    alice.expect([reply_to("7", "room", "ok", json!({})), broadcast("room", "presence_diff", diff)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_callback_changed_is_told_when_it_waits() {
    let server = Server::new(PubSub::local());
    let (mut alice, _) = server.enter("alice").await;
    alice.push("5", "room", "track_and_wait", &json!({}));
    assert_eq!(alice.recv().await[4]["joins"]["waiting"]["metas"].as_array().unwrap().len(), 1);
}

/// The next message, which may take some seconds.
async fn later(client: &mut Client) -> Value {
    for _ in 0..20 {
        if let Ok(message) = tokio::time::timeout(PATIENCE / 2, client.recv()).await {
            return message;
        }
    }
    panic!("nothing came");
}

/// The presences of everybody but the watcher are gone, and the watcher was told.
async fn expect_gone(server: &Server, watcher: &mut Client, user: &str) {
    let diff = watcher.recv().await;
    assert_eq!(diff[3], "presence_diff");
    assert_eq!(diff[4]["joins"], json!({}));
    assert!(diff[4]["leaves"][user].is_object(), "{diff}");
    let list = server.presence.snapshot("room");
    assert!(list.iter().all(|entry| &**entry.key() == "watcher"), "{list:?}");
}

#[tokio::test(start_paused = true)]
async fn j21_no_presence_outlives_its_channel() {
    let server = Server::new(PubSub::local());
    let (mut watcher, _) = server.enter("watcher").await;

    for how in ["leave", "crash", "abort", "disconnect", "cut", "drop", "waiting"] {
        let (mut bob, _) = server.enter("bob").await;
        watcher.recv().await;
        bob.push("4", "room", "elsewhere", &json!({}));
        bob.expect_alive().await;
        assert_eq!(server.presence.snapshot("elsewhere").len(), 1);
        match how {
            "leave" => {
                bob.push("5", "room", "phx_leave", &json!({}));
                bob.expect([reply_to("5", "room", "ok", json!({})), closed("room")]).await;
            }
            "crash" => {
                bob.push("5", "room", "no such event", &json!({}));
                bob.expect([crashed("room")]).await;
            }
            "abort" => {
                bob.push("5", "room", "abort", &json!({}));
                bob.expect([crashed("room")]).await;
            }
            "disconnect" => {
                server.endpoint.disconnect("users:bob").unwrap();
                bob.expect_close(1001).await;
            }
            "cut" => bob.vanish(),
            "drop" => bob.task.abort(),
            _ => {
                bob.push("5", "room", "track_and_wait", &json!({}));
                bob.recv().await;
                assert!(watcher.recv().await[4]["joins"]["waiting"].is_object());
                bob.task.abort();
            }
        }
        if how == "waiting" {
            // A callback that is running has five seconds to come to its end.
            let diff = later(&mut watcher).await;
            assert!(
                diff[4]["leaves"]["waiting"].is_object() && diff[4]["leaves"]["bob"].is_object(),
                "{diff}"
            );
        } else {
            expect_gone(&server, &mut watcher, "bob").await;
        }
        assert!(server.presence.snapshot("elsewhere").is_empty(), "{how}");
        watcher.expect_alive().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_channel_takes_its_presence_along_and_the_new_one_has_its_own() {
    let server = Server::new(PubSub::local());
    let (mut watcher, _) = server.enter("watcher").await;
    let (bob, first) = server.enter("bob").await;
    watcher.recv().await;
    bob.send(&json!(["2", "2", "room", "phx_join", {}]));
    let mut told = [watcher.recv().await, watcher.recv().await];
    told.sort_by_key(|diff| diff[4]["leaves"]["bob"].is_null());
    assert_eq!(told[0][4]["leaves"]["bob"]["metas"][0]["phx_ref"], json!(first));
    let list = server.presence.snapshot("room");
    let refs: Vec<_> = list.of_key("bob").map(|entry| entry.meta().phx_ref().unwrap()).collect();
    assert_eq!(refs, [told[1][4]["joins"]["bob"]["metas"][0]["phx_ref"].as_str().unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn a_join_may_track_and_a_refused_one_leaves_nothing_behind() {
    let server = Server::new(PubSub::local());
    let (mut watcher, _) = server.enter("watcher").await;
    let mut bob = server.connect("bob").await;
    bob.join("room", &json!({"join": "track_in_join"})).await;
    assert!(bob.recv().await[4]["joins"]["bob"].is_object(), "its own diff follows the reply");
    assert!(watcher.recv().await[4]["joins"]["bob"].is_object());

    let mut carol = server.connect("carol").await;
    carol.send(&json!(["1", "1", "room", "phx_join", {"join": "track_and_refuse"}]));
    carol.expect([reply_to("1", "room", "error", json!({}))]).await;
    assert!(server.presence.snapshot("room").of_key("carol").next().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_nodes_tell_each_other_is_not_for_clients() {
    let cluster = LocalCluster::new();
    let server = Server::new(PubSub::builder().node("a").engine(cluster.engine()));
    let other = Server::new(PubSub::builder().node("b").engine(cluster.engine()));
    let mut spy = server.connect("spy").await;
    spy.join("phx_presence:test_shard0", &json!({"join": "quiet"})).await;
    let (mut watcher, _) = server.enter("watcher").await;
    let (_bob, _) = other.enter("bob").await;
    assert!(later(&mut watcher).await[4]["joins"]["bob"].is_object());
    spy.expect_alive().await;
}

#[tokio::test(start_paused = true)]
async fn l18_a_server_that_shuts_down_is_forgotten_at_once_if_asked_for() {
    let cluster = LocalCluster::new();
    let server = Server::new(PubSub::builder().node("a").engine(cluster.engine()));
    let (mut watcher, _) = server.enter("watcher").await;
    let pubsub = PubSub::builder().node("b").engine(cluster.engine());
    let presence = Presence::builder("test").permdown_on_shutdown(true).start(&pubsub).unwrap();
    let endpoint = Endpoint::builder().pubsub(pubsub).build().unwrap();
    let mut owner = presence.owner();
    owner.track("room", "bob", json!({})).unwrap();
    assert!(later(&mut watcher).await[4]["joins"]["bob"].is_object());
    endpoint.shutdown().await;
    assert!(watcher.recv().await[4]["leaves"]["bob"].is_object());
}
