//! The commands.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phoenix_client::{ChannelState, Outcome, Payload, Presence, Socket};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::JoinSet;

use crate::console::Console;

/// Reads commands and carries them out.
pub(crate) struct Prompt {
    socket: Socket,
    console: Arc<Console>,
    /// Whether a command waits for the end of the one before, as a script expects.
    one_by_one: bool,
    channels: BTreeMap<String, Presence>,
    /// The topic that commands without one are about.
    topic: Option<String>,
    /// What is under way; false is a failure.
    pending: JoinSet<bool>,
    all_succeeded: bool,
}

const HELP: &str = "\
join TOPIC [PARAMS]     join a channel, and make it the current one
leave [TOPIC]           leave it
push EVENT [PAYLOAD]    push JSON to the current channel; EVENT [PAYLOAD] alone does the same
binary EVENT BASE64     push bytes to the current channel
topic TOPIC             make a joined channel the current one
topics                  list the channels
presence                list who is in the current channel, with the number of metas
ping                    measure a round trip
quit                    disconnect and end";

impl Prompt {
    pub(crate) fn new(socket: Socket, console: Arc<Console>, one_by_one: bool) -> Self {
        Self {
            socket,
            console,
            one_by_one,
            channels: BTreeMap::new(),
            topic: None,
            pending: JoinSet::new(),
            all_succeeded: true,
        }
    }

    /// Reads commands to the end, then waits for what is under way; whether all of it succeeded.
    pub(crate) async fn run(mut self) -> Result<bool, Box<dyn std::error::Error>> {
        let mut lines = BufReader::new(stdin()).lines();
        self.console.ask();
        loop {
            if self.one_by_one {
                self.finish().await?;
            }
            let Some(line) = lines.next_line().await? else { break };
            self.console.answered();
            if matches!(line.trim(), "quit" | "exit") {
                break;
            }
            self.execute(line.trim());
            self.console.ask();
        }
        self.finish().await?;
        self.socket.disconnect().await;
        Ok(self.all_succeeded)
    }

    /// Waits for everything that is under way.
    async fn finish(&mut self) -> Result<(), tokio::task::JoinError> {
        while let Some(succeeded) = self.pending.join_next().await {
            self.all_succeeded &= succeeded?;
        }
        Ok(())
    }

    /// Carries one command out.
    pub(crate) fn execute(&mut self, line: &str) {
        if let Err(problem) = self.try_execute(line) {
            self.all_succeeded = false;
            self.console.problem(&problem);
        }
    }

    fn try_execute(&mut self, line: &str) -> Result<(), String> {
        let (command, rest) = split(line);
        match command {
            "" => {}
            "help" => self.console.help(HELP),
            "join" => {
                let (topic, params) = split(rest);
                if topic.is_empty() {
                    return Err("join what?".to_owned());
                }
                let channel = self.socket.channel(topic, payload(params)?);
                self.channels.insert(topic.to_owned(), channel.presence());
                self.watch("join", channel.join());
                self.topic = Some(topic.to_owned());
            }
            "leave" => {
                let topic = if rest.is_empty() { self.topic.take() } else { Some(rest.to_owned()) };
                let presence = topic.and_then(|topic| self.channels.remove(&topic));
                let presence = presence.ok_or("no such channel")?;
                self.watch("leave", presence.channel().leave());
            }
            "topic" if self.channels.contains_key(rest) => self.topic = Some(rest.to_owned()),
            "topic" => return Err(format!("{rest:?} is not joined")),
            "topics" => self.list(),
            "presence" => self.list_present()?,
            "ping" => self.watch("ping", self.socket.ping()),
            "push" => {
                let (event, rest) = split(rest);
                self.push(event, rest)?;
            }
            "binary" => {
                let (event, rest) = split(rest);
                let bytes = STANDARD.decode(rest).map_err(|error| format!("not base64: {error}"))?;
                self.watch("push", self.current()?.channel().push_binary(event, bytes));
            }
            event => self.push(event, rest)?,
        }
        Ok(())
    }

    fn push(&mut self, event: &str, rest: &str) -> Result<(), String> {
        let pushed = self.current()?.channel().push(event, &payload(rest)?.as_json());
        self.watch("push", pushed);
        Ok(())
    }

    fn current(&self) -> Result<&Presence, String> {
        let presence = self.topic.as_ref().and_then(|topic| self.channels.get(topic));
        presence.ok_or_else(|| "no channel: join one first".to_owned())
    }

    fn list(&self) {
        for (topic, presence) in &self.channels {
            let is_current = self.topic.as_ref() == Some(topic);
            let state = match presence.channel().state() {
                ChannelState::Closed => "closed",
                ChannelState::Joining => "joining",
                ChannelState::Joined => "joined",
                ChannelState::Errored => "errored",
            };
            let mark = if is_current { "*" } else { " " };
            let object = json!({ "topic": topic, "state": state, "current": is_current });
            self.console.fact(&format!("{mark} {topic} {state}"), object);
        }
    }

    fn list_present(&self) -> Result<(), String> {
        let present = self.current()?.list_by(|key, presence| (key.to_owned(), presence.metas.len()));
        let shown: Vec<_> = present.iter().map(|(key, metas)| format!("{key} ({metas})")).collect();
        let object: serde_json::Map<_, _> =
            present.into_iter().map(|(key, metas)| (key, metas.into())).collect();
        self.console.fact(&format!("present: {}", shown.join(" ")), json!({ "present": object }));
        Ok(())
    }

    /// Tells when something under way has failed; what succeeds is seen on the wire.
    fn watch<T: Send + 'static, E: Display + Send + 'static>(
        &mut self,
        what: &'static str,
        outcome: Outcome<Result<T, E>>,
    ) {
        let console = Arc::clone(&self.console);
        self.pending.spawn(async move {
            let ended = outcome.await;
            if let Err(error) = &ended {
                console.problem(&format_args!("{what}: {error}"));
            }
            ended.is_ok()
        });
        // What has ended meanwhile needs no place any more.
        while let Some(succeeded) = self.pending.try_join_next() {
            self.all_succeeded &= succeeded.unwrap_or(false);
        }
    }
}

fn split(line: &str) -> (&str, &str) {
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (first, rest.trim_start())
}

fn payload(text: &str) -> Result<Payload, String> {
    if text.is_empty() {
        return Ok(Payload::EMPTY);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    Ok(value.into())
}
