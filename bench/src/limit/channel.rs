//! What the bench channel answers: parsed as little as possible, built by concatenation.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::hub::{Hub, Peer, Subscription};
use crate::wire::frame;
use crate::wire::message::{self, Message};

/// One client's side of its joined topics.
pub(super) struct Member {
    hub: Arc<Hub>,
    pub(super) peer: Arc<Peer>,
    joined: Vec<Subscription>,
}

/// The buffer in which every outgoing frame is built.
pub(super) struct Draft(Vec<u8>);

impl Member {
    pub(super) fn new(hub: Arc<Hub>, peer: Arc<Peer>) -> Self {
        Self { hub, peer, joined: Vec::new() }
    }

    /// Handles one text message; what is no message is passed over.
    pub(super) fn text(&mut self, text: &[u8], draft: &mut Draft) {
        let Some(message) = message::parse(text) else { return };
        match message.event {
            b"echo" => self.reply(&message, message.payload, draft),
            b"bcast" => self.broadcast(message.topic, message.payload, draft),
            b"burst" => self.burst(&message, draft),
            b"heartbeat" => self.reply(&message, b"{}", draft),
            b"phx_join" => {
                self.leave(message.topic);
                self.joined.push(self.hub.subscribe(message.topic, &self.peer));
                self.reply(&message, b"{}", draft);
            }
            b"phx_leave" => {
                self.leave(message.topic);
                self.reply(&message, b"{}", draft);
                let join_ref = message.join_ref;
                let close = draft.text(&[
                    b"[",
                    join_ref,
                    b",",
                    join_ref,
                    b",\"",
                    message.topic,
                    b"\",\"phx_close\",{}]",
                ]);
                self.hub.send(&self.peer, close);
            }
            _ => {}
        }
    }

    /// Handles one binary push; only the event `binary` is answered, with the same payload.
    pub(super) fn binary(&mut self, body: &[u8], draft: &mut Draft) {
        let Some((&[0, join_ref, reference, topic, event], rest)) = body.split_first_chunk() else { return };
        let refs = usize::from(join_ref) + usize::from(reference) + usize::from(topic);
        let Some((names, rest)) = rest.split_at_checked(refs) else { return };
        if let Some((b"binary", payload)) = rest.split_at_checked(usize::from(event)) {
            let reply =
                draft.frame(frame::BINARY, &[&[1, join_ref, reference, topic, 2], names, b"ok", payload]);
            self.hub.send(&self.peer, reply);
        }
    }

    fn reply(&self, message: &Message<'_>, response: &[u8], draft: &mut Draft) {
        let reply = draft.text(&[
            b"[",
            message.join_ref,
            b",",
            message.reference,
            b",\"",
            message.topic,
            b"\",\"phx_reply\",{\"status\":\"ok\",\"response\":",
            response,
            b"}]",
        ]);
        self.hub.send(&self.peer, reply);
    }

    fn broadcast(&self, topic: &[u8], payload: &[u8], draft: &mut Draft) {
        if let Some(joined) = self.joined.iter().find(|joined| &*joined.topic.name == topic) {
            let push = draft.text(&[b"[null,null,\"", topic, b"\",\"msg\",", payload, b"]"]);
            self.hub.broadcast(&joined.topic, push);
        }
    }

    fn burst(&self, message: &Message<'_>, draft: &mut Draft) {
        let Ok(mut payload) = serde_json::from_slice::<Map<String, Value>>(message.payload) else { return };
        let Some(count) = payload.remove("n").as_ref().and_then(Value::as_u64) else { return };
        for number in 1..=count {
            payload.insert("i".to_owned(), number.into());
            let Ok(encoded) = serde_json::to_vec(&payload) else { return };
            self.broadcast(message.topic, &encoded, draft);
        }
        self.reply(message, format!("{{\"n\":{count}}}").as_bytes(), draft);
    }

    fn leave(&mut self, topic: &[u8]) {
        if let Some(at) = self.joined.iter().position(|joined| &*joined.topic.name == topic) {
            self.hub.unsubscribe(&self.joined.swap_remove(at));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for subscription in &self.joined {
            self.hub.unsubscribe(subscription);
        }
    }
}

impl Draft {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn text(&mut self, parts: &[&[u8]]) -> &[u8] {
        self.frame(frame::TEXT, parts)
    }

    pub(super) fn frame(&mut self, opcode: u8, parts: &[&[u8]]) -> &[u8] {
        self.0.clear();
        frame::head(&mut self.0, opcode, parts.iter().map(|part| part.len()).sum(), false);
        for part in parts {
            self.0.extend_from_slice(part);
        }
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;
    use crate::limit::hub::Link;

    #[test]
    fn what_is_joined_is_answered() {
        let mut client = Client::joined();
        client.text(r#"["1","2","t","echo",{"x":1}]"#);
        client.text(r#"["1","3","t","noreply",{}]"#);
        client.text(r#"["1","4","t","phx_leave",{}]"#);
        client.text(r#"["1","5","t","bcast",{}]"#);
        assert_eq!(
            client.frames(),
            [
                (frame::TEXT, r#"["1","2","t","phx_reply",{"status":"ok","response":{"x":1}}]"#),
                (frame::TEXT, r#"["1","4","t","phx_reply",{"status":"ok","response":{}}]"#),
                (frame::TEXT, r#"["1","1","t","phx_close",{}]"#),
            ]
            .map(owned)
        );
    }

    #[test]
    fn a_burst_is_numbered_and_then_answered() {
        let mut client = Client::joined();
        client.text(r#"["1","2","t","burst",{"n":2,"x":7}]"#);
        assert_eq!(
            client.frames(),
            [
                (frame::TEXT, r#"[null,null,"t","msg",{"i":1,"x":7}]"#),
                (frame::TEXT, r#"[null,null,"t","msg",{"i":2,"x":7}]"#),
                (frame::TEXT, r#"["1","2","t","phx_reply",{"status":"ok","response":{"n":2}}]"#),
            ]
            .map(owned)
        );
    }

    #[test]
    fn a_binary_push_is_answered_in_binary() {
        let mut client = Client::joined();
        client.binary(b"\x00\x01\x01\x01\x0612tbinary\xff\x00");
        client.binary(b"\x00\x01\x01\x01\x0512tother\xff\x00");
        client.binary(b"\x00\x01\x01\xff\x06short");
        assert_eq!(client.frames(), [(frame::BINARY, b"\x01\x01\x01\x01\x0212tok\xff\x00".to_vec())]);
    }

    struct Client {
        member: Member,
        draft: Draft,
    }

    impl Client {
        /// Joined to the topic `t` with join ref 1, and told so.
        fn joined() -> Self {
            let peer = Peer::new(Link::Mailbox(Notify::new()));
            let mut client = Self { member: Member::new(Arc::default(), peer), draft: Draft::new() };
            client.text(r#"["1","1","t","phx_join",{}]"#);
            let reply = r#"["1","1","t","phx_reply",{"status":"ok","response":{}}]"#;
            assert_eq!(client.frames(), [owned((frame::TEXT, reply))]);
            client
        }

        fn text(&mut self, text: &str) {
            self.member.text(text.as_bytes(), &mut self.draft);
        }

        fn binary(&mut self, body: &[u8]) {
            self.member.binary(body, &mut self.draft);
        }

        fn frames(&self) -> Vec<(u8, Vec<u8>)> {
            let bytes = self.member.peer.take_frames();
            let mut unread = &bytes[..];
            let mut frames = Vec::new();
            while let Some(found) = frame::next(unread) {
                frames.push((found.opcode, unread[found.body.clone()].to_vec()));
                unread = &unread[found.body.end..];
            }
            frames
        }
    }

    fn owned((opcode, text): (u8, &str)) -> (u8, Vec<u8>) {
        (opcode, text.as_bytes().to_vec())
    }
}
