//! The client against a server elsewhere.

use futures_util::StreamExt;
use phoenix_client::{ChannelEvent, Payload, PushError, Socket, Status, V1};
use serde_json::{Value, json};

/// Against a real Phoenix that runs the reference application of the conformance suite:
///
/// ```sh
/// PHOENIX_URL=ws://127.0.0.1:4000 cargo test -p phoenix-client --test live -- --ignored
/// ```
///
/// `phoenix-conformance serve` offers the same application.
#[tokio::test]
#[ignore = "needs PHOENIX_URL, where the reference application runs"]
async fn a_real_phoenix() {
    let url = std::env::var("PHOENIX_URL").expect("PHOENIX_URL is set");
    let builder = || Socket::builder(format!("{}/socket", url.trim_end_matches('/')));
    for socket in [builder().connect().unwrap(), builder().serializer(V1).connect().unwrap()] {
        let room = socket.channel("echo:client", json!({ "a": 1 }));
        let mut events = room.events();
        room.join().await.unwrap();
        let reply = room.push("echo", &json!({ "n": 1 })).await.unwrap();
        assert_eq!((reply.status, reply.payload.parse::<Value>().unwrap()), (Status::OK, json!({ "n": 1 })));
        assert!(matches!(room.push("echo_error", &json!({})).await, Err(PushError::Refused(_))));
        drop(room.push("shout", &json!({ "n": 2 })));
        loop {
            match events.next().await.expect("the channel is not over") {
                ChannelEvent::Message(message) if message.event == *"shout" => break,
                ChannelEvent::Joined(_) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
        // Rejoins by itself.
        assert!(matches!(room.push("crash", &json!({})).await, Err(PushError::Channel)));
        let again = room.push("echo", &json!({ "n": 3 })).await.unwrap();
        assert_eq!(again.payload.parse::<Value>().unwrap(), json!({ "n": 3 }));
        assert_eq!(room.leave().await.unwrap().status, Status::OK);
        socket.disconnect().await;
    }
    let socket = builder().connect().unwrap();
    let room = socket.channel("echo:client", ());
    room.join().await.unwrap();
    let reply = room.push_binary("binary", vec![1, 2, 3]).await.unwrap();
    assert!(matches!(reply.payload, Payload::Binary(_)));
}
