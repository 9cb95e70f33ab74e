//! `echo:*`: every kind of reply, push, broadcast and stop, on request.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use phoenix_server::{Broadcast, Channel, Context, Crash, End, Flow, JoinError, Payload, ReplyTo, Status};
use serde_json::{Value, json};

use super::{Member, forwarded, reference};
use crate::serve::app::{Ctl, app};
use crate::serve::inspect::inspect;
use crate::serve::sockets::AppSocket;
use crate::serve::term;

pub(super) struct Echo<S> {
    member: Member,
    join_payload: Payload,
    socket: PhantomData<S>,
}

/// What the route of `assigned:*` adds.
pub(super) struct FromRoute(pub(super) &'static str);

pub(super) enum Info {
    Reply(ReplyTo, Payload),
    Ctl(Value),
    Broadcast(Arc<Broadcast>),
}

impl From<Ctl> for Info {
    fn from(Ctl(payload): Ctl) -> Self {
        Self::Ctl(payload)
    }
}

impl<S: AppSocket> Channel for Echo<S> {
    type Socket = S;
    type Info = Info;

    async fn join(params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
        app().log(json!({"callback": "join", "topic": cx.topic(), "payload": inspect(&params)}));
        let channel = Self { member: Member::new(cx), join_payload: params, socket: PhantomData };
        Ok((channel, Payload::EMPTY))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: Payload,
        cx: &mut Context<Self>,
    ) -> Result<Flow, Crash> {
        match event {
            "echo" | "echo_error" | "ok" | "error" | "custom_status" | "custom_atom" | "reply_list"
            | "reply_string" | "reply_nil" | "reply_map" | "inspect" => Ok(reply(event, payload)),
            "reply_bad" | "return_bad" => Err(Crash::new("not a result")),
            "noreply" | "hibernate" => Ok(Flow::Continue),
            "push_me" | "push_reply" | "push_many" | "push_bad" | "shout" | "shout_reply" | "shout_from" => {
                send(event, payload, cx)
            }
            "binary" | "binary_error" | "binary_size" | "binary_push" | "binary_broadcast"
            | "binary_reply" => binary(event, &payload, cx),
            "async_reply" | "async_reply_twice" => reply_later(event, payload, cx),
            "stop"
            | "stop_reply"
            | "stop_reply_atom"
            | "stop_shutdown"
            | "stop_shutdown_tuple"
            | "stop_error"
            | "stop_error_reply"
            | "crash"
            | "throw"
            | "exit_normal"
            | "exit_shutdown" => self.stop(event, cx),
            "kill_transport" => {
                cx.handle().cut()?;
                Ok(Flow::Continue)
            }
            "sleep" => {
                let ms: u64 = serde_json::from_str(term::matched(&payload, "ms", event)?.get())?;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(Flow::ok(json!({"slept": ms})))
            }
            "connect_info" => {
                let seen = cx.socket().seen();
                Ok(Flow::ok(json!({"params": seen.params, "info": seen.connect_info})))
            }
            "whoami" => Ok(Flow::ok(self.who(cx))),
            "unsubscribe" => {
                let topic = cx.topic().to_owned();
                cx.unsubscribe(&topic);
                self.member.unlist();
                Ok(Flow::reply(Status::OK))
            }
            "subscribe" => {
                let topic: String = serde_json::from_str(term::matched(&payload, "topic", event)?.get())?;
                cx.subscribe(topic, |broadcast| Info::Broadcast(Arc::clone(broadcast)));
                Ok(Flow::reply(Status::OK))
            }
            _ => Err(Crash::unhandled(event)),
        }
    }

    async fn handle_info(&mut self, info: Info, cx: &mut Context<Self>) -> Result<Flow, Crash> {
        match info {
            Info::Reply(to, payload) => to.send(Status::OK, payload)?,
            // On its own topic it is a case for `handle_out`, which this channel does not have.
            Info::Broadcast(broadcast) if *broadcast.topic == *cx.topic() => {
                return Err(Crash::unhandled(&broadcast.event));
            }
            Info::Broadcast(broadcast) => cx.push("forwarded", forwarded(&broadcast)?)?,
            Info::Ctl(ctl) => return self.ctl(&ctl, cx),
        }
        Ok(Flow::Continue)
    }

    async fn terminate(&mut self, end: End, _: &mut Context<Self>) {
        self.member.terminated(end);
    }
}

impl<S: AppSocket> Echo<S> {
    /// Ends in the way that the event names.
    fn stop(&mut self, event: &str, cx: &Context<Self>) -> Result<Flow, Crash> {
        self.member.ending(match event {
            "stop_shutdown" | "exit_shutdown" => ":shutdown",
            "stop_shutdown_tuple" => "{:shutdown, :because}",
            "stop_error" | "stop_error_reply" => ":boom",
            "crash" => r#"{%RuntimeError{message: "crash"}, []}"#,
            "throw" => "{{:nocatch, :thrown}, []}",
            _ => ":normal",
        });
        match event {
            "stop" | "stop_shutdown" | "stop_shutdown_tuple" => Ok(Flow::Stop),
            "stop_reply" | "stop_reply_atom" => Ok(Flow::StopWith(Status::OK, Payload::EMPTY)),
            "crash" => panic!("crash"),
            "exit_normal" | "exit_shutdown" => {
                // An exit of its own runs the last callback, one from outside does not.
                self.member.terminated(End::Crashed);
                cx.handle().abort()?;
                Ok(Flow::Continue)
            }
            "stop_error_reply" => {
                cx.reply(Status::ERROR, json!({"reason": "boom"}))?;
                Err(Crash::new("boom"))
            }
            _ => Err(Crash::new(event.to_owned())),
        }
    }

    /// What a control route sends.
    fn ctl(&mut self, ctl: &Value, cx: &Context<Self>) -> Result<Flow, Crash> {
        if let Some(payload) = ctl.get("push") {
            cx.push("from_info", payload.clone())?;
        } else if let Some(reason) = ctl.get("stop") {
            match reason.as_str() {
                Some("normal") => self.member.ending(":normal"),
                Some("shutdown") => self.member.ending(":shutdown"),
                Some("boom") => {
                    self.member.ending(":boom");
                    return Err(Crash::new("boom"));
                }
                _ => return Err(Crash::new(reason.to_string())),
            }
            return Ok(Flow::Stop);
        } else if let Some(message) = ctl.get("raise") {
            return Err(Crash::new(message.to_string()));
        } else {
            app().log(
                json!({"callback": "handle_info", "topic": cx.topic(), "msg": format!("{{:ctl, {ctl}}}")}),
            );
        }
        Ok(Flow::Continue)
    }

    fn who(&self, cx: &Context<Self>) -> Value {
        json!({
            "id": phoenix_server::Socket::id(cx.socket()),
            "topic": cx.topic(),
            "join_ref": reference(cx.join_ref()),
            "ref": reference(cx.reference()),
            "transport": cx.transport(),
            "serializer": cx.serializer().name(),
            "join_payload": inspect(&self.join_payload),
            "from_route": cx.route_data::<FromRoute>().map(|data| data.0),
        })
    }
}

fn reply(event: &str, payload: Payload) -> Flow {
    match event {
        "echo" => Flow::ok(payload),
        "echo_error" => Flow::error(payload),
        "error" => Flow::reply(Status::ERROR),
        "custom_status" => Flow::Reply(Status::new("teapot"), json!({"short": true}).into()),
        "custom_atom" => Flow::reply(Status::new("teapot")),
        "reply_list" => Flow::ok(json!([1, "two", null])),
        "reply_string" => Flow::ok(json!("just a string")),
        "reply_nil" => Flow::ok(Value::Null),
        "reply_map" => Flow::ok(
            json!({"zeta": 1, "alpha": 2, "status": "s", "response": "r", "nested": {"b": 1, "a": 2}}),
        ),
        "inspect" => Flow::ok(json!({"inspect": inspect(&payload)})),
        _ => Flow::reply(Status::OK),
    }
}

fn send<C: Channel>(event: &str, payload: Payload, cx: &Context<C>) -> Result<Flow, Crash> {
    match event {
        "push_reply" => {
            cx.push("pushed", payload)?;
            return Ok(Flow::ok(json!({"after": "push"})));
        }
        "push_many" => {
            let n: i64 = serde_json::from_str(term::matched(&payload, "n", event)?.get())?;
            for i in range_from_one(n) {
                cx.push("n", json!({"i": i}))?;
            }
            return Ok(Flow::ok(json!({"n": n})));
        }
        "push_bad" => cx.push("pushed", json!([1, 2]))?,
        "shout" => cx.broadcast("shout", payload)?,
        "shout_reply" => {
            cx.broadcast("shout", payload)?;
            return Ok(Flow::ok(json!({"after": "shout"})));
        }
        "shout_from" => cx.broadcast_from("shout_from", payload)?,
        _ => cx.push("pushed", payload)?,
    }
    Ok(Flow::Continue)
}

fn binary<C: Channel>(event: &str, payload: &Payload, cx: &Context<C>) -> Result<Flow, Crash> {
    let raw = || payload.as_binary().cloned().ok_or_else(|| Crash::unhandled(event));
    match event {
        "binary" => Ok(Flow::ok(raw()?)),
        "binary_error" => Ok(Flow::error(raw()?)),
        "binary_size" => Ok(Flow::ok(json!({"size": raw()?.len()}))),
        "binary_push" => {
            cx.push("bin_pushed", data(payload)?)?;
            Ok(Flow::Continue)
        }
        "binary_broadcast" => {
            cx.broadcast("bin_shout", data(payload)?)?;
            Ok(Flow::Continue)
        }
        _ => Ok(Flow::ok(data(payload)?)),
    }
}

/// The bytes that a client asks for.
fn data(payload: &Payload) -> Result<Bytes, Crash> {
    let Ok(fields) = payload.parse::<term::Fields>() else {
        return match payload {
            Payload::Binary(data) => Ok(data.clone()),
            Payload::Json(_) => Ok(DATA),
        };
    };
    if let Some(text) = fields.get("base64") {
        return Ok(STANDARD.decode(serde_json::from_str::<String>(text.get())?)?.into());
    }
    match fields.get("size") {
        Some(size) => match serde_json::from_str(size.get())? {
            size @ ..=MAX_DATA => Ok(vec![7; size].into()),
            size => Err(Crash::new(format!("{size} bytes are too many"))),
        },
        None => Ok(DATA),
    }
}

/// Nobody may take all memory.
const MAX_DATA: usize = 64 << 20;

/// The bytes for those who do not ask for any.
const DATA: Bytes = Bytes::from_static(&[0, 1, 2, 253, 254, 255]);

fn reply_later<S: AppSocket>(event: &str, payload: Payload, cx: &Context<Echo<S>>) -> Result<Flow, Crash> {
    let (to, handle) = (cx.reply_to()?, cx.handle());
    if event == "async_reply_twice" {
        handle.send(Info::Reply(to.clone(), payload.clone()))?;
        handle.send(Info::Reply(to, payload))?;
        return Ok(Flow::Continue);
    }
    let ms: u64 = match payload.parse::<term::Fields>()?.get("ms") {
        Some(ms) => serde_json::from_str(ms.get())?,
        None => 100,
    };
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        // The channel may be gone, as any receiver of a timer.
        let _ = handle.send(Info::Reply(to, payload));
    });
    Ok(Flow::Continue)
}

/// `1..n` of the original, which counts down if `n` is less than one.
pub(super) fn range_from_one(n: i64) -> Box<dyn Iterator<Item = i64> + Send> {
    if n >= 1 { Box::new(1..=n) } else { Box::new((n..=1).rev()) }
}
