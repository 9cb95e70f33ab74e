//! The commands.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use phoenix_client::{Channel, ChannelState, Outcome, Payload, Socket};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::JoinSet;

use crate::console::Console;

/// Reads commands and carries them out.
pub(crate) struct Prompt {
    socket: Socket,
    console: Arc<Console>,
    /// Whether a command waits for the end of the one before, as a script expects.
    one_by_one: bool,
    channels: BTreeMap<String, Channel>,
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
topic TOPIC             make a joined channel the current one
topics                  list the channels
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
                self.watch("join", channel.join());
                self.channels.insert(topic.to_owned(), channel);
                self.topic = Some(topic.to_owned());
            }
            "leave" => {
                let topic = if rest.is_empty() { self.topic.take() } else { Some(rest.to_owned()) };
                let channel = topic.and_then(|topic| self.channels.remove(&topic));
                let channel = channel.ok_or("no such channel")?;
                self.watch("leave", channel.leave());
            }
            "topic" if self.channels.contains_key(rest) => self.topic = Some(rest.to_owned()),
            "topic" => return Err(format!("{rest:?} is not joined")),
            "topics" => self.list(),
            "ping" => self.watch("ping", self.socket.ping()),
            "push" => {
                let (event, rest) = split(rest);
                self.push(event, rest)?;
            }
            event => self.push(event, rest)?,
        }
        Ok(())
    }

    fn push(&mut self, event: &str, rest: &str) -> Result<(), String> {
        let channel = self.topic.as_ref().and_then(|topic| self.channels.get(topic));
        let channel = channel.ok_or("no channel: join one first")?;
        let pushed = channel.push(event, &payload(rest)?.as_json());
        self.watch("push", pushed);
        Ok(())
    }

    fn list(&self) {
        for (topic, channel) in &self.channels {
            let current = if self.topic.as_ref() == Some(topic) { "*" } else { " " };
            let state = match channel.state() {
                ChannelState::Closed => "closed",
                ChannelState::Joining => "joining",
                ChannelState::Joined => "joined",
                ChannelState::Errored => "errored",
            };
            self.console.help(&format!("{current} {topic} {state}"));
        }
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
