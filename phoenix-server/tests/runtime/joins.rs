//! Joins: their outcomes, what may happen meanwhile, and what replaces what (protocol §9.4, §9.5).

use std::time::Duration;

use serde_json::json;

use crate::support::{Info, broadcast, closed, crashed, endpoint, memory, probe, pushed, reply_to};

#[tokio::test(start_paused = true)]
async fn outcomes_of_a_join() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;

    for (params, status, response) in [
        (json!({"reply": ["any", "json"]}), "ok", json!(["any", "json"])),
        (json!({"join": "refuse"}), "error", json!({"reason": "not you"})),
        (json!({"join": "crash"}), "error", json!({"reason": "join crashed"})),
        (json!({"join": "panic"}), "error", json!({"reason": "join crashed"})),
    ] {
        client.send(&json!(["1", "1", "room:a", "phx_join", params]));
        let reply = client.recv().await;
        assert_eq!(reply, reply_to("1", "room:a", status, response));
        if status == "ok" {
            client.push("2", "room:a", "phx_leave", &json!({}));
            client.expect([reply_to("2", "room:a", "ok", json!({})), closed("room:a")]).await;
            client.expect([pushed("room:a", "bye", json!({}))]).await;
        }
        assert_eq!(endpoint.pubsub().local_subscribers("room:a"), 0);
    }
    client.send(&json!(["1", "1", "nowhere", "phx_join", {}]));
    let reply = client.recv().await;
    assert_eq!(reply[4], json!({"status": "error", "response": {"reason": "unmatched topic"}}));
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_sent_before_a_join_is_accepted() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.send(&json!(["1", "1", "room:a", "phx_join", {"join": "early"}]));
    let error = "the channel is not joined yet";
    client.expect([reply_to("1", "room:a", "error", json!({"early": [error, error, error]}))]).await;
}

#[tokio::test(start_paused = true)]
async fn an_info_from_the_join_comes_after_it() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({"join": "after_join"})).await;
    client.expect([pushed("room:a", "info", json!({"text": "after join"}))]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_joins_delay_nobody_else() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;

    for topic in ["room:slow", "room:slower"] {
        client.send(&json!(["1", "1", topic, "phx_join", {"join": "wait"}]));
    }
    client.push("2", "room:slow", "echo", &json!("behind the join"));
    assert_eq!(probe.next().await, "joining room:slow");
    assert_eq!(probe.next().await, "joining room:slower");
    client.expect_alive().await;
    client.join("room:fast", &json!({})).await;
    probe.open_gate(2);

    client.expect([reply_to("1", "room:slow", "ok", json!({}))]).await;
    client.expect([reply_to("1", "room:slower", "ok", json!({}))]).await;
    client.expect([reply_to("2", "room:slow", "ok", json!("behind the join"))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_cancels_its_joins() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.send(&json!(["1", "1", "room:slow", "phx_join", {"join": "wait"}]));
    assert_eq!(probe.next().await, "joining room:slow");

    client.vanish();

    client.task.await.unwrap();
    assert_eq!(probe.next().await, "socket dropped");
    probe.open_gate(1);
    probe.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_join_replaces_an_older_one_at_once() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("room:a", &json!({})).await;
    client.push("2", "room:a", "wait", &json!({}));
    assert_eq!(probe.next().await, "waiting room:a");

    client.send(&json!(["9", "9", "room:a", "phx_join", {"join": "after_join"}]));

    let reply = json!(["9", "9", "room:a", "phx_reply", {"status": "ok", "response": {}}]);
    let info = json!(["9", null, "room:a", "info", {"text": "after join"}]);
    client.expect([reply, closed("room:a"), info]).await;
    // It ended where it was, without its last callback.
    assert_eq!(probe.next().await, "dropped room:a");
    probe.open_gate(1);
    endpoint.broadcast("room:a", "shout", json!({})).unwrap();
    client.expect([broadcast("room:a", "shout", json!({}))]).await;
    client.push("3", "room:a", "echo", &json!("stale"));
    client.expect_silence().await;
    probe.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_traps_its_exit_cleans_up_first() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("trap:a", &json!({})).await;

    // While it is idle.
    client.send(&json!(["9", "9", "trap:a", "phx_join", {}]));
    let reply =
        |join_ref| json!([join_ref, join_ref, "trap:a", "phx_reply", {"status": "ok", "response": {}}]);
    let bye = |join_ref| json!([join_ref, null, "trap:a", "bye", {}]);
    let close = |join_ref| json!([join_ref, join_ref, "trap:a", "phx_close", {}]);
    client.expect([reply("9"), bye("1"), close("1")]).await;
    assert_eq!(probe.next().await, "terminate trap:a duplicate_join");
    assert_eq!(probe.next().await, "dropped trap:a");

    // While it runs a callback, which it finishes; what waited behind that is not done any more.
    client.send(&json!(["9", "10", "trap:a", "wait", {}]));
    client.send(&json!(["9", "11", "trap:a", "note", "not done"]));
    assert_eq!(probe.next().await, "waiting trap:a");
    client.send(&json!(["20", "20", "trap:a", "phx_join", {}]));
    client.expect_silence().await;
    probe.open_gate(1);
    let waited = json!(["9", "10", "trap:a", "phx_reply", {"status": "ok", "response": "waited"}]);
    client.expect([reply("20"), waited, bye("9"), close("9")]).await;
    assert_eq!(probe.next().await, "terminate trap:a duplicate_join");
    assert_eq!(probe.next().await, "dropped trap:a");
}

#[tokio::test(start_paused = true)]
async fn cleaning_up_is_waited_for_five_seconds() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    client.join("trap:a", &json!({"terminate": "wait"})).await;

    let before = tokio::time::Instant::now();
    client.send(&json!(["9", "9", "trap:a", "phx_join", {}]));
    assert_eq!(probe.next().await, "terminate trap:a duplicate_join");
    for _ in 0..4 {
        client.expect_silence().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.recv().await[0], "9");
    assert_eq!(before.elapsed().as_secs(), 5);
    assert_eq!(probe.next().await, "dropped trap:a");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_join_is_answered_and_what_waited_for_it_goes_on() {
    let (endpoint, probe) = (endpoint(), probe());
    let mut client = memory(&endpoint, &probe, "").await;
    // The handle of this instance is the one that a join which waits has registered.
    client.join("room:a", &json!({})).await;
    let handle = probe.handle("room:a");
    handle.send(Info::Wait).unwrap();
    handle.abort().unwrap();
    client.expect([crashed("room:a")]).await;
    client.expect_alive().await;
}
