//! What is done to channels from outside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use phoenix_proto::server::CloseReason;
use serde_json::Value;

use super::App;
use crate::channels::Mail;

impl App<'_> {
    /// A call to the control interface.
    pub(super) fn control(&mut self, action: &str, request: &Value) {
        let text = |key: &str| request[key].as_str().unwrap_or_default();
        let topic = text("topic");
        let members: Vec<_> =
            self.subscriptions.iter().filter(|it| it.topic == topic && !it.plain).map(|it| it.pid).collect();
        match action {
            // A payload that cannot be sent raises in the caller.
            "broadcast" => {
                drop(self.broadcast(None, topic, text("event"), request["payload"].clone().into()));
            }
            "broadcast_binary" => {
                let data = Bytes::from(STANDARD.decode(text("base64")).expect("valid base64"));
                drop(self.broadcast(None, topic, text("event"), data.into()));
            }
            "disconnect" => {
                for peer in self.connections.values_mut() {
                    if peer.user.as_ref().is_some_and(|user| format!("users:{user}") == text("id")) {
                        peer.connection.close(CloseReason::Disconnected);
                    }
                }
            }
            "kill" if text("how") == "normal" => {}
            "kill" => {
                for pid in members {
                    self.end(pid);
                }
            }
            "drain" => {
                for pid in members {
                    let peer = self.processes[&pid].peer;
                    if let Some(peer) = self.connections.get_mut(&peer) {
                        peer.connection.close(CloseReason::Draining);
                    }
                }
            }
            "info" => {
                for pid in members {
                    self.mail(pid, Mail::Control(request["payload"].clone()));
                }
            }
            other => panic!("unknown control {other:?}"),
        }
    }
}
