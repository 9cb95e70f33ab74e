//! What channels do.

use phoenix_proto::{Broadcast, EncodeError, Event, Frame, Message, Payload, Ref, Reply, Serializer, Status};
use serde_json::Value;

use super::{App, Pid, Subscription, Timer};
use crate::channels::{self, Mail};
use crate::recording::Sent;

impl App<'_> {
    pub(crate) fn push(&mut self, pid: Pid, event: &str, payload: Payload) -> Result<(), EncodeError> {
        let Some(process) = self.processes.get(&pid) else { return Ok(()) };
        let (join_ref, topic) = (process.join_ref.clone(), process.topic.clone().into());
        let push = Message { join_ref, reference: None, topic, event: Event::from(event), payload };
        self.send(pid, |serializer| serializer.encode_push(&push))
    }

    pub(crate) fn reply(
        &mut self,
        pid: Pid,
        reference: Option<Ref>,
        status: &str,
        payload: Payload,
    ) -> Result<(), EncodeError> {
        let Some(process) = self.processes.get(&pid) else { return Ok(()) };
        let (join_ref, topic) = (process.join_ref.clone(), process.topic.clone().into());
        let reply = Reply { join_ref, reference, topic, status: Status::new(status), payload };
        self.send(pid, |serializer| serializer.encode_reply(&reply))
    }

    pub(crate) fn broadcast(
        &mut self,
        except: Option<Pid>,
        topic: &str,
        event: &str,
        payload: Payload,
    ) -> Result<(), EncodeError> {
        let broadcast = Broadcast { topic: topic.into(), event: event.into(), payload };
        let receivers = self.subscriptions.iter().filter(|it| it.topic == topic && Some(it.pid) != except);
        let receivers: Vec<_> = receivers.map(|it| (it.pid, it.plain)).collect();
        for (pid, plain) in receivers {
            if plain || channels::intercepts(&self.processes[&pid], event) {
                self.mail(pid, Mail::Broadcast(broadcast.clone()));
            } else {
                self.send(pid, |serializer| serializer.encode_broadcast(&broadcast))?;
            }
        }
        Ok(())
    }

    pub(crate) fn subscribe(&mut self, pid: Pid, topic: &str) {
        self.subscriptions.push(Subscription { pid, topic: topic.into(), plain: true });
    }

    pub(crate) fn unsubscribe(&mut self, pid: Pid) {
        self.subscriptions.retain(|it| it.pid != pid);
    }

    pub(crate) fn mail_later(&mut self, millis: u64, pid: Pid, mail: Mail) {
        self.after_delay(millis, pid, Timer::Mail(mail));
    }

    /// Answers as Phoenix did, for what only it can know: process facts, HTTP facts, texts with a pid in them.
    pub(crate) fn reply_as_recorded(&mut self, pid: Pid, reference: Option<Ref>) -> Result<(), EncodeError> {
        let peer = self.processes[&pid].peer;
        let with = reference.as_ref().map_or("null", Ref::as_json);
        let with: Value = serde_json::from_str(with).expect("references are valid JSON");
        let messages = self.recording.sent_to(peer).flat_map(Sent::messages);
        let mut replies = messages.filter_map(|message| match message {
            Value::Array(it) => (it[1] == with && it[3] == "phx_reply").then(|| it[4].clone()),
            it => (it["ref"] == with && it["event"] == "phx_reply").then(|| it["payload"].clone()),
        });
        let reply = replies.next().expect("Phoenix replied");
        let status = reply["status"].as_str().expect("a reply has a status");
        self.reply(pid, reference, status, reply["response"].clone().into())
    }

    fn send(
        &mut self,
        pid: Pid,
        encode: impl FnOnce(&dyn Serializer) -> Result<Frame, EncodeError>,
    ) -> Result<(), EncodeError> {
        let (peer, channel) = (self.processes[&pid].peer, self.processes[&pid].channel);
        let Some(peer) = self.connections.get_mut(&peer) else { return Ok(()) };
        let frame = encode(&*peer.serializer)?;
        peer.connection.send(channel, frame);
        Ok(())
    }

    /// A mail in front of all others, which finds the process busy.
    pub(crate) fn mail_first(&mut self, pid: Pid, mail: Mail) {
        self.processes.get_mut(&pid).expect("it sends to itself").mailbox.push_front(mail);
    }
}
