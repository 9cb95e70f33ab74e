//! What callbacks can do and what their results mean (protocol §10.3).

use bytes::Bytes;
use phoenix_server::{Incoming, Payload, SendError};
use serde_json::{Value, json};

use crate::support::{Info, broadcast, closed, crashed, endpoint, memory, probe, pushed, reply_to};

#[tokio::test(start_paused = true)]
async fn results_of_handle_in() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    for (event, status) in [("echo", "ok"), ("error", "error"), ("maybe", "maybe")] {
        for payload in [json!({"a": 1}), json!([1, null]), json!("text"), Value::Null] {
            client.push("2", "room:a", event, &payload);
            client.expect([reply_to("2", "room:a", status, payload)]).await;
        }
    }
    client.push("3", "room:a", "quiet", &json!({}));
    client.expect_silence().await;
    client.push("4", "room:a", "stop_with", &json!("last"));
    client.expect([reply_to("4", "room:a", "ok", json!("last")), closed("room:a")]).await;
    client.expect([pushed("room:a", "bye", json!({}))]).await;
    assert_eq!(probe.next().await, "terminate room:a normal");
    client.push("5", "room:a", "echo", &json!({}));
    assert_eq!(client.recv().await[4]["response"], json!({"reason": "unmatched topic"}));

    client.join("room:a", &json!({})).await;
    client.push("6", "room:a", "stop", &json!({}));
    client.expect([closed("room:a"), pushed("room:a", "bye", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_is_answered_then_the_channel_ends() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.push("2", "room:a", "phx_leave", &json!({}));

    client.expect([reply_to("2", "room:a", "ok", json!({})), closed("room:a")]).await;
    client.expect([pushed("room:a", "bye", json!({}))]).await;
    assert_eq!(probe.next().await, "terminate room:a left");
    assert_eq!(probe.next().await, "dropped room:a");
    client.push("3", "room:a", "phx_leave", &json!({}));
    client.expect([reply_to("3", "room:a", "ok", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_knows_where_it_runs() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "user=me").await;
    client.join("room:a", &json!({})).await;
    client.join("data:b", &json!({})).await;

    client.push("2", "room:a", "facts", &json!({}));
    client.push("3", "data:b", "facts", &json!({}));

    let facts = |topic, data: Value, reference: &str| {
        json!({
            "topic": topic, "transport": "memory", "serializer": "Phoenix.Socket.V2.JSONSerializer", "user": "me", "data": data, "text": null,
            "join_ref": "Some(\"1\")", "ref": format!("Some({reference:?})"),
        })
    };
    client.expect([reply_to("2", "room:a", "ok", facts("room:a", Value::Null, "2"))]).await;
    client.expect([reply_to("3", "data:b", "ok", facts("data:b", json!(42), "3"))]).await;
}

#[tokio::test(start_paused = true)]
async fn replies_come_later_from_any_task_and_more_than_once() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.push("2", "room:a", "later", &json!({}));
    client.push("3", "room:a", "echo", &json!("meanwhile"));
    client.expect([reply_to("3", "room:a", "ok", json!("meanwhile"))]).await;
    probe.open_gate(1);
    client.expect([reply_to("2", "room:a", "ok", json!("first"))]).await;
    client.expect([reply_to("2", "room:a", "error", json!("second"))]).await;

    // One that comes when the channel is gone is swallowed.
    client.push("4", "room:a", "later", &json!({}));
    client.push("5", "room:a", "stop", &json!({}));
    client.expect([closed("room:a"), pushed("room:a", "bye", json!({}))]).await;
    probe.open_gate(1);
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_message_there_is_nothing_to_reply_to() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    // A message without a reference can be replied to at once only.
    client.send(&json!(["1", null, "room:a", "no_ref", {}]));
    let error = json!({"error": "there is no message that could be replied to"});
    client.expect([pushed("room:a", "error", error)]).await;
    client.expect([json!(["1", null, "room:a", "phx_reply", {"status": "ok", "response": "no ref"}])]).await;

    probe.handle("room:a").send(Info::Reply).unwrap();
    let text = json!({"text": "there is no message that could be replied to"});
    client.expect([pushed("room:a", "info", text)]).await;
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_could_not_understand_is_refused() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.push("2", "room:a", "bad_push", &json!({}));

    let not_an_object = "the payload of a push or broadcast must be a JSON object or binary";
    let errors = json!([
        "the event \"phx_reply\" is reserved",
        not_an_object,
        "the event \"phx_close\" is reserved",
        not_an_object,
    ]);
    client.expect([reply_to("2", "room:a", "ok", errors)]).await;
}

#[tokio::test(start_paused = true)]
async fn payloads_may_be_binary() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    let message = |event: &str| {
        let mut frame = vec![0, 1, 1, 6, u8::try_from(event.len()).unwrap()];
        frame.extend(b"12room:a");
        frame.extend(event.as_bytes());
        frame.extend([0, 255]);
        Incoming::Binary(frame.into())
    };
    for (event, expected) in [
        ("echo", &b"\x01\x01\x01\x06\x0212room:aok\x00\xff"[..]),
        ("push", b"\x00\x01\x06\x061room:apushed\x00\xff"),
        ("broadcast", b"\x02\x06\x05room:ashout\x00\xff"),
    ] {
        client.send_raw(message(event));
        assert_eq!(client.recv_binary().await, Bytes::from_static(expected), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_the_version_cannot_carry_crashes_its_sender() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    // A topic that is too long for a binary header.
    let topic = format!("room:{}", "x".repeat(255));
    client.join(&topic, &json!({})).await;
    let error = probe.handle(&topic).push("push", Bytes::from_static(b"x")).unwrap_err();
    assert!(matches!(error, SendError::Encode(_)));
    client.push("2", "room:a", "push", &json!([]));
    client.expect([pushed("room:a", "bye", json!({})), crashed("room:a")]).await;
}

#[tokio::test(start_paused = true)]
async fn broadcasts_reach_all_or_all_others() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut one = memory(&endpoint, &probe, "").await;
    let mut two = memory(&endpoint, &probe, "").await;
    for client in [&mut one, &mut two] {
        client.join("room:a", &json!({})).await;
        client.join("room:b", &json!({})).await;
    }

    one.push("2", "room:a", "broadcast", &json!({"n": 1}));
    one.push("3", "room:a", "broadcast_from", &json!({"n": 2}));

    let shout = |topic, n| broadcast(topic, "shout", json!({"n": n}));
    one.expect([shout("room:a", 1)]).await;
    two.expect([shout("room:a", 1), shout("room:a", 2)]).await;
    endpoint.broadcast("room:b", "shout", json!({"n": 3})).unwrap();
    for client in [&mut one, &mut two] {
        client.expect([shout("room:b", 3)]).await;
    }
    one.expect_silence().await;
    two.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn intercepted_broadcasts_go_through_the_channel() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut one = memory(&endpoint, &probe, "user=one").await;
    let mut two = memory(&endpoint, &probe, "user=two").await;
    for client in [&mut one, &mut two] {
        client.join("tap:a", &json!({})).await;
    }

    one.push("2", "tap:a", "tapped", &json!({"n": 1}));
    for (client, user) in [(&mut one, "one"), (&mut two, "two")] {
        client.expect([pushed("tap:a", "tapped", json!({"for": user, "was": {"n": 1}}))]).await;
    }
    endpoint.broadcast("tap:a", "tapped", json!({"out": "drop"})).unwrap();
    endpoint.broadcast("tap:a", "other", json!({})).unwrap();
    for client in [&mut one, &mut two] {
        client.expect([broadcast("tap:a", "other", json!({}))]).await;
    }
    endpoint.broadcast("tap:a", "tapped", json!({"out": "stop"})).unwrap();
    one.expect([closed("tap:a"), pushed("tap:a", "bye", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn intercepts_are_pushed_unchanged_without_a_handler() {
    use phoenix_server::{
        Channel, ConnectInfo, Context, Crash, Endpoint, Flow, JoinError, Refused, Router, Socket,
        SocketOptions, TransportOptions,
    };
    struct Plain;
    impl Socket for Plain {
        async fn connect(_: ConnectInfo) -> Result<Self, Refused> {
            Ok(Self)
        }
        fn channels(router: &mut Router<Self>) {
            router.channel::<Self>("room:*");
        }
    }
    impl Channel for Plain {
        type Socket = Self;
        type Info = ();
        const INTERCEPTS: &'static [&'static str] = &["tapped"];
        async fn join(_: Payload, _: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
            Ok((Self, Payload::EMPTY))
        }
        async fn handle_in(&mut self, _: &str, _: Payload, _: &mut Context<Self>) -> Result<Flow, Crash> {
            Ok(Flow::Continue)
        }
    }
    let options = SocketOptions::new().transport("memory", TransportOptions::new("memory"));
    let endpoint = Endpoint::builder().socket::<Plain>("/socket", options).build().unwrap();
    let mut client = memory(&endpoint, &probe(), "").await;
    client.join("room:a", &json!({})).await;

    endpoint.broadcast("room:a", "tapped", json!({"n": 1})).unwrap();

    client.expect([pushed("room:a", "tapped", json!({"n": 1}))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_listens_to_other_topics() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.push("2", "room:a", "subscribe", &json!({"topic": "news"}));
    client.push("3", "room:a", "subscribe", &json!({"topic": "news"}));
    client.push("4", "room:a", "echo", &json!({}));
    client.expect([reply_to("4", "room:a", "ok", json!({}))]).await;
    endpoint.broadcast("news", "fresh", json!({})).unwrap();
    // Two subscriptions deliver twice.
    let news = || pushed("room:a", "info", json!({"text": "news fresh"}));
    client.expect([news(), news()]).await;

    client.push("5", "room:a", "unsubscribe", &json!({"topic": "news"}));
    client.push("6", "room:a", "unsubscribe", &json!({"topic": "room:a"}));
    client.push("7", "room:a", "echo", &json!({}));
    client.expect([reply_to("7", "room:a", "ok", json!({}))]).await;
    endpoint.broadcast("news", "fresh", json!({})).unwrap();
    endpoint.broadcast("room:a", "shout", json!({})).unwrap();
    client.expect_silence().await;
    assert_eq!(endpoint.pubsub().local_subscribers("news"), 0);

    client.push("8", "room:a", "echo", &json!({}));
    client.expect([reply_to("8", "room:a", "ok", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn handles_reach_a_channel_from_anywhere() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    let handle = probe.handle("room:a");
    assert_eq!(handle.topic(), "room:a");

    handle.push("direct", json!({"n": 1})).unwrap();
    handle.send(Info::Push("hello".into())).unwrap();
    client.expect([pushed("room:a", "direct", json!({"n": 1}))]).await;
    client.expect([pushed("room:a", "info", json!({"text": "hello"}))]).await;
    handle.send(Info::Stop).unwrap();
    client.expect([closed("room:a"), pushed("room:a", "bye", json!({}))]).await;
    assert_eq!(probe.next().await, "terminate room:a normal");

    // The connection is there, the channel is not.
    handle.push("direct", json!({})).unwrap();
    client.expect_silence().await;
    client.vanish();
    client.task.await.unwrap();
    assert_eq!(handle.push("direct", json!({})), Err(SendError::Gone));
    assert_eq!(handle.send(Info::Stop), Err(SendError::Gone));
}

#[tokio::test(start_paused = true)]
async fn an_aborted_channel_ends_at_once() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.push("2", "room:a", "wait", &json!({}));
    assert_eq!(probe.next().await, "waiting room:a");
    probe.handle("room:a").abort().unwrap();

    client.expect([crashed("room:a")]).await;
    assert_eq!(probe.next().await, "dropped room:a");
    client.join("room:a", &json!({})).await;
    probe.assert_silent().await;
}
