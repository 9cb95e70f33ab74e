//! From joins to the ends of channels.

use std::collections::VecDeque;

use phoenix_proto::EncodeError;
use phoenix_proto::server::{CloseReason, Command, JoinRequest};

use super::{App, Pid, Process, Subscription, Timer};
use crate::channels::{self, After, Joined, Mail};
use crate::recording::{PeerId, Sent};

impl App<'_> {
    pub(super) fn run_commands(&mut self) {
        loop {
            let mut connections = self.connections.iter_mut();
            let command = connections.find_map(|(&id, peer)| Some((id, peer.connection.poll_command()?)));
            let Some((peer, command)) = command else { break };
            self.execute(peer, command);
        }
    }

    fn execute(&mut self, peer: PeerId, command: Command) {
        match command {
            Command::Join(join) => {
                let JoinRequest { channel, topic, join_ref, payload, .. } = *join;
                let (mailbox, busy) = (VecDeque::new(), false);
                let process = Process { peer, channel, topic, join_ref, payload, mailbox, busy };
                let pid = self.next_number();
                let delay = channels::join_delay(&process);
                self.processes.insert(pid, process);
                match delay {
                    Some(delay) => self.after_delay(delay, pid, Timer::Join),
                    None => self.decide(pid),
                }
            }
            Command::Message { channel, event, reference, payload, .. } => {
                self.mail_to(peer, channel, Mail::Message { event, reference, payload });
            }
            Command::Leave { channel, reference, .. } => {
                self.mail_to(peer, channel, Mail::Leave { reference });
            }
            Command::Kill { channel } => {
                let pid = self.pid(peer, channel);
                if let Some(pid) = pid.filter(|pid| !channels::traps_exits(&self.processes[pid])) {
                    self.end(pid);
                }
            }
            Command::Abandon { channel } => {
                if let Some(pid) = self.pid(peer, channel) {
                    self.forget(pid);
                }
            }
            Command::Close(reason) => {
                self.write(peer);
                // A long-poll client finds out with its next request.
                if let PeerId::Connection(_) = peer {
                    let code = u64::from(reason.code().get());
                    self.tell(peer, Sent::Close(code), format!("close {code}"));
                }
                self.disconnect(peer);
            }
        }
    }

    pub(super) fn decide(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let (peer, channel, topic) = (process.peer, process.channel, process.topic.clone());
        let joined = channels::join(process);
        let now = self.instant();
        let Some(connection) = self.connections.get_mut(&peer).map(|peer| &mut peer.connection) else {
            return;
        };
        match joined {
            Joined::Ok(response, mail) => {
                self.subscriptions.push(Subscription { pid, topic, plain: false });
                connection.accept(channel, response, now);
                for (delay, mail) in mail {
                    self.after_delay(delay, pid, Timer::Mail(mail));
                }
                return;
            }
            Joined::Error(response) => connection.refuse(channel, response, now),
            Joined::Crash => connection.join_crashed(channel, now),
            Joined::Unencodable => connection.close(CloseReason::Unencodable(EncodeError::Custom("a pid"))),
        }
        self.forget(pid);
    }

    pub(super) fn after(&mut self, pid: Pid, after: After) {
        let Some(process) = self.processes.get(&pid) else { return };
        let (peer, channel) = (process.peer, process.channel);
        match after {
            After::Continue => {}
            After::Sleep(millis) => {
                self.processes.get_mut(&pid).expect("it was there").busy = true;
                self.after_delay(millis, pid, Timer::Wake);
            }
            After::Stop => {
                if let Some(peer) = self.connections.get_mut(&peer) {
                    peer.connection.close_channel(channel);
                }
                channels::terminate(self, pid);
                self.end(pid);
            }
            After::Crash => self.end(pid),
        }
    }

    /// The process is gone, and the machine is told.
    pub(super) fn end(&mut self, pid: Pid) {
        let now = self.instant();
        if let Some(process) = self.processes.get(&pid) {
            let (peer, channel) = (process.peer, process.channel);
            if let Some(peer) = self.connections.get_mut(&peer) {
                peer.connection.ended(channel, now);
            }
        }
        self.forget(pid);
    }

    pub(super) fn forget(&mut self, pid: Pid) {
        self.processes.remove(&pid);
        self.subscriptions.retain(|it| it.pid != pid);
        self.untrack_all(pid);
    }
}
