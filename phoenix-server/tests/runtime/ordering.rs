//! What arrives in which order (protocol §11).

use serde_json::json;

use crate::support::{Info, broadcast, endpoint, memory, probe, pushed, reply_to};

#[tokio::test(start_paused = true)]
async fn a_channel_is_heard_in_the_order_in_which_it_speaks() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    client.push("2", "room:a", "mix", &json!({}));

    client
        .expect([
            broadcast("room:a", "one", json!({})),
            pushed("room:a", "two", json!({})),
            broadcast("room:a", "three", json!({})),
            reply_to("2", "room:a", "ok", json!("four")),
            pushed("room:a", "five", json!({})),
            reply_to("2", "room:a", "ok", json!("six")),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn intercepted_broadcasts_take_the_detour() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "user=me").await;
    client.join("tap:a", &json!({})).await;

    client.push("2", "tap:a", "tapped", &json!({}));
    client.push("3", "tap:a", "echo", &json!({}));

    // The second message was in the mailbox before the broadcast.
    client.expect([reply_to("3", "tap:a", "ok", json!({}))]).await;
    client.expect([pushed("tap:a", "tapped", json!({"for": "me", "was": {}}))]).await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_handled_in_order() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;

    for n in 0..100 {
        client.push(&n.to_string(), "room:a", if n % 10 == 0 { "wait" } else { "echo" }, &json!(n));
    }
    probe.open_gate(10);

    for n in 0..100 {
        let response = if n % 10 == 0 { json!("waited") } else { json!(n) };
        client.expect([reply_to(&n.to_string(), "room:a", "ok", response)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn broadcasts_during_a_join_wait_for_its_reply() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:b", &json!({})).await;

    // The join is accepted while the broadcast is under way: it waits in the inbox.
    client.send(&json!(["1", "1", "room:a", "phx_join", {"join": "wait"}]));
    assert_eq!(probe.next().await, "joining room:a");
    endpoint.broadcast("room:a", "too early", json!({})).unwrap();
    probe.open_gate(1);
    client.expect([reply_to("1", "room:a", "ok", json!({}))]).await;
    endpoint.broadcast("room:a", "shout", json!({})).unwrap();
    client.expect([broadcast("room:a", "shout", json!({}))]).await;
}

#[tokio::test(start_paused = true)]
async fn infos_and_broadcasts_of_one_sender_keep_their_order() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    let handle = probe.handle("room:a");

    for n in 0..50 {
        endpoint.broadcast("room:a", "shout", json!({"n": n})).unwrap();
        handle.push("direct", json!({"n": n})).unwrap();
    }
    for n in 0..50 {
        client.expect([broadcast("room:a", "shout", json!({"n": n}))]).await;
        client.expect([pushed("room:a", "direct", json!({"n": n}))]).await;
    }
    for n in 0..50 {
        handle.send(Info::Push(n.to_string())).unwrap();
    }
    for n in 0..50 {
        client.expect([pushed("room:a", "info", json!({"text": n.to_string()}))]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_together_is_answered_like_by_phoenix() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    let join = |n: &str| json!([n, n, "room:a", "phx_join", {}]);
    let joined = |n: &str| json!([n, n, "room:a", "phx_reply", {"status": "ok", "response": {}}]);

    client.send(&join("1"));
    client.push("2", "room:a", "echo", &json!({}));
    client.send(&join("3"));
    client.send(&json!(["3", "4", "room:a", "echo", {}]));
    client.send(&json!([null, "hb", "phoenix", "heartbeat", {}]));
    client.send(&json!(["9", "9", "room:b", "echo", {}]));

    client
        .expect([
            joined("1"),
            joined("3"),
            json!([null, "hb", "phoenix", "phx_reply", {"status": "ok", "response": {}}]),
            json!([null, "9", "room:b", "phx_reply", {"status": "error", "response": {"reason": "unmatched topic"}}]),
            json!(["1", "1", "room:a", "phx_close", {}]),
            json!(["3", "4", "room:a", "phx_reply", {"status": "ok", "response": {}}]),
        ])
        .await;
}
