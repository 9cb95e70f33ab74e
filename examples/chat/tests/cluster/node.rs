use std::process::Command;

use phoenix_pubsub_testing::{Broker, Log, Process};

/// The nodes of a cluster serve each other's long-poll sessions.
const SECRET: &str = "a secret of tests, which is as long as one for real has to be, or longer than that";

/// A process of the chat.
pub(crate) struct Node {
    process: Process,
    port: u16,
}

impl Node {
    pub(crate) fn start(broker: &Broker, name: &str, adapter: &str) -> Self {
        Self::start_on(broker, name, adapter, 0)
    }

    pub(crate) fn start_on(broker: &Broker, name: &str, adapter: &str, port: u16) -> Self {
        let url = broker.url();
        let kind = if url.starts_with("redis") { "--redis" } else { "--nats" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command.args(["--node", name, "--adapter", adapter, "--port", &port.to_string(), kind, &url]);
        command.args(["--tick", "100"]).env("CHAT_SECRET", SECRET);
        let process = Process::start(&mut command, Log::Stdout).expect("it was built");
        let line = process.wait_for_log("listening on ").expect("it listens");
        let port =
            line.rsplit(':').next().and_then(|port| port.parse().ok()).expect("it says where it listens");
        Self { process, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }
}
