//! A server program under test.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::command::{Failure, Group, forward_lines};

const START_LIMIT: Duration = Duration::from_secs(30);
/// What a server prints before its address.
const LISTENING: &str = "listening on ";
const DRAIN_LIMIT: Duration = Duration::from_secs(15);

/// A running server; dropping it ends it.
pub(crate) struct Server {
    group: Group,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server and waits for the line `listening on <address>` it prints when ready.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let (group, line) = start(program, arguments, LISTENING)?;
        let address = line.split_once(LISTENING).map(|(_, address)| address.trim()).unwrap_or_default();
        Ok(Self { group, url: format!("http://{address}") })
    }

    /// Starts a Redis server for other programs on this machine, which keeps nothing.
    pub(crate) fn start_redis(program: &Path) -> Result<Self, Failure> {
        // Somebody else may take the port meanwhile; then it says so and ends.
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(|cause| Failure::Start { program: "redis-server".to_owned(), cause })?.port();
        let port_text = port.to_string();
        let arguments = ["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let (group, _) = start(program, &arguments, "Ready to accept connections")?;
        Ok(Self { group, url: format!("redis://127.0.0.1:{port}") })
    }

    /// Waits until the server ends by itself, for however long that takes.
    pub(crate) fn serve(mut self) -> Result<(), Failure> {
        match self.group.child.wait() {
            Ok(status) if !status.success() => Err(Failure::Status(status)),
            // Somebody else may have waited for it: it is gone in any case.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Asks the server to drain, which it has to do in time and with success.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        self.group.terminate();
        self.group.finish(DRAIN_LIMIT)
    }
}

/// Starts a program and waits for a line that contains a text; what it prints goes on to the terminal.
fn start(program: &Path, arguments: &[&str], ready: &str) -> Result<(Group, String), Failure> {
    let mut command = Command::new(program);
    // Some channels panic because the tests want them to: a line each is enough.
    command.args(arguments).env("RUST_BACKTRACE", "0").stdout(Stdio::piped());
    let mut group = Group::spawn(&mut command)?;
    let (sender, lines) = mpsc::channel();
    if let Some(output) = group.child.stdout.take() {
        forward_lines(output, sender);
    }
    loop {
        let line = lines.recv_timeout(START_LIMIT).map_err(|_| Failure::NotListening)?;
        println!("{line}");
        if line.contains(ready) {
            thread::spawn(move || lines.iter().for_each(|line| println!("{line}")));
            return Ok((group, line));
        }
    }
}
