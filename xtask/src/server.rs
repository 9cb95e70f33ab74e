//! A server program under test.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::command::{Failure, Group, forward_lines};

const START_LIMIT: Duration = Duration::from_secs(30);
const DRAIN_LIMIT: Duration = Duration::from_secs(15);

/// A running server; dropping it ends it.
pub(crate) struct Server {
    group: Group,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server and waits for the line `listening on <address>` it prints when ready.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        let mut group = Group::spawn(command.args(arguments).stdout(Stdio::piped()))?;
        let (sender, lines) = mpsc::channel();
        if let Some(output) = group.child.stdout.take() {
            forward_lines(output, sender);
        }
        loop {
            let line = lines.recv_timeout(START_LIMIT).map_err(|_| Failure::NotListening)?;
            println!("{line}");
            if let Some(address) = line.strip_prefix("listening on ") {
                let url = format!("http://{}", address.trim());
                thread::spawn(move || lines.iter().for_each(|line| println!("{line}")));
                return Ok(Self { group, url });
            }
        }
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
