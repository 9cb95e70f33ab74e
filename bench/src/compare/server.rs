//! A server as a child process on a core of its own.

use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::load::Pid;

/// The name of the limit server.
pub(super) const LIMIT: &str = "limit";
const START_WITHIN: Duration = Duration::from_secs(30);
const PORT: &str = "{port}";
const READY: &str = "listening on ";

/// A server and the command that starts it: `NAME=COMMAND ARGUMENT…`, split at spaces, without quoting.
///
/// `{port}` in the command stands for a free port. The server prints `listening on ADDRESS:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    pub(super) name: String,
    pub(super) command: Vec<String>,
}

/// The text is not of the form `NAME=COMMAND…`, or the name is that of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected NAME=COMMAND, with another name than {LIMIT}")]
pub struct BadContender;

/// Why a server is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The command could not be run.
    #[error("cannot be run: {0}")]
    Spawn(#[from] io::Error),
    /// The process ended, or closed its output, before it listened.
    #[error("ended before it was listening")]
    Ended,
    /// The process runs but has not said that it listens.
    #[error("printed no `{READY}ADDRESS` within {} seconds", START_WITHIN.as_secs())]
    Silent,
}

/// A running server; killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl FromStr for Contender {
    type Err = BadContender;

    fn from_str(text: &str) -> Result<Self, BadContender> {
        let (name, command) = text.split_once('=').ok_or(BadContender)?;
        let command: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        if name.is_empty() || name == LIMIT || command.is_empty() {
            return Err(BadContender);
        }
        Ok(Self { name: name.to_owned(), command })
    }
}

impl Server {
    /// Starts the contender and waits until it listens.
    pub(super) fn start(contender: &Contender, core: &str) -> Result<Self, StartError> {
        let port = free_port()?.to_string();
        let mut child = pinned(core)
            .args(contender.command.iter().map(|word| word.replace(PORT, &port)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        match listening(child.stdout.take().expect("the output is piped")) {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// The process: taskset becomes the server rather than starting it.
    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A command that will run on one core, or several.
pub(super) fn pinned(cores: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]);
    command
}

fn listening(output: ChildStdout) -> Result<SocketAddr, StartError> {
    let (sender, receiver) = mpsc::channel();
    // Reads on after the line, or the server would stop at a full pipe.
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(address) = address_in(&line) {
                _ = sender.send(address);
            }
        }
    });
    receiver.recv_timeout(START_WITHIN).map_err(|error| match error {
        RecvTimeoutError::Timeout => StartError::Silent,
        RecvTimeoutError::Disconnected => StartError::Ended,
    })
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.strip_prefix(READY)?.trim().parse().ok()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Both fail only when the process has ended already.
fn end(child: &mut Child) {
    _ = child.kill();
    _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_a_name_and_a_command() {
        let contender: Contender = "self=bench limit --port {port}".parse().unwrap();
        assert_eq!(contender.name, "self");
        assert_eq!(contender.command, ["bench", "limit", "--port", "{port}"]);
        for text in ["", "self", "self=", "=bench", "limit=bench"] {
            assert_eq!(text.parse::<Contender>(), Err(BadContender));
        }
    }

    #[test]
    fn the_address_is_read_from_the_agreed_line_only() {
        assert_eq!(address_in("listening on 127.0.0.1:17"), Some(([127, 0, 0, 1], 17).into()));
        assert_eq!(address_in("not listening on 127.0.0.1:17"), None);
        assert_eq!(address_in("listening on localhost"), None);
    }

    #[test]
    fn a_server_that_ends_is_no_server() {
        let contender = "gone=true".parse().unwrap();
        assert!(matches!(Server::start(&contender, "0"), Err(StartError::Ended)));
    }

    #[test]
    fn a_server_that_listens_is_found_and_killed() {
        let contender = Contender {
            name: "shell".to_owned(),
            command: ["sh", "-c", "echo hello; echo listening on 127.0.0.1:{port}; exec cat /dev/zero"]
                .map(str::to_owned)
                .to_vec(),
        };
        let server = Server::start(&contender, "0").unwrap();
        assert_ne!(server.address.port(), 0);
        let pid = server.pid();
        assert!(pid.resident_kib().is_ok());
        drop(server);
        assert!(pid.resident_kib().is_err());
    }
}
