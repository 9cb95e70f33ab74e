//! Programs run as steps: each in a process group of its own, within a limit of time.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot start {program}: {cause}")]
    Start { program: String, cause: io::Error },
    #[error("{0}")]
    Status(ExitStatus),
    #[error("not done after {} s", .0.as_secs())]
    Time(Duration),
    #[error("cannot read {path}: {cause}")]
    Read { path: String, cause: io::Error },
    #[error("{path}: {cause}")]
    Policy { path: String, cause: toml::de::Error },
    #[error("cargo metadata: {0}")]
    Metadata(#[from] serde_json::Error),
    #[error("{0} violations")]
    Violations(usize),
    #[error("the server ended before it listened")]
    NotListening,
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// A limit of so many minutes.
pub(crate) const fn minutes(number: u64) -> Duration {
    Duration::from_secs(60 * number)
}

/// How long a program that was asked to end may take for its goodbyes.
const GRACE: Duration = Duration::from_secs(2);

/// The groups that run at the moment, for the end of this program.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A signal that ends this program ends what it started as well.
pub(crate) fn end_children_on_signal() {
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Held to the end, so that no further step begins.
            let groups = lock_groups();
            for (request, grace) in [(Signal::TERM, GRACE), (Signal::KILL, Duration::ZERO)] {
                for group in groups.iter() {
                    // A group that is gone already needs no signal.
                    let _ = kill_process_group(*group, request);
                }
                thread::sleep(grace);
            }
            std::process::exit(128 + signal);
        }
    });
}

/// Runs a command to its end; its output goes to the terminal.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), Failure> {
    announce(command);
    Group::spawn(command)?.finish(limit)
}

/// Runs a command to its end; its output goes to the terminal and, line by line, to `each_line`.
pub(crate) fn run_lines(
    command: &mut Command,
    limit: Duration,
    mut each_line: impl FnMut(&str),
) -> Result<(), Failure> {
    announce(command);
    let deadline = Instant::now() + limit;
    let mut group = Group::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (sender, lines) = mpsc::channel();
    if let Some(output) = group.child.stdout.take() {
        forward_lines(output, sender.clone());
    }
    if let Some(errors) = group.child.stderr.take() {
        forward_lines(errors, sender);
    }
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("{line}");
                each_line(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(Failure::Time(limit)),
        }
    }
    group.finish(deadline.saturating_duration_since(Instant::now()))
}

/// The standard output of a command that is quick and quiet.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let mut group = Group::spawn(command.stdout(Stdio::piped()))?;
    let mut text = String::new();
    if let Some(mut output) = group.child.stdout.take() {
        let program = command.get_program().to_string_lossy().into_owned();
        output.read_to_string(&mut text).map_err(|cause| Failure::Read { path: program, cause })?;
    }
    group.finish(limit)?;
    Ok(text)
}

/// Hands the lines of a pipe on until it closes.
pub(crate) fn forward_lines(pipe: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
}

/// A running program and whatever it started; dropping it ends all of them.
pub(crate) struct Group {
    pub(crate) child: Child,
    id: Pid,
}

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|cause| Failure::Start { program, cause })?;
        let id = Pid::from_child(&child);
        lock_groups().push(id);
        Ok(Self { child, id })
    }

    /// Asks the program to end by itself.
    pub(crate) fn terminate(&self) {
        let _ = kill_process_group(self.id, Signal::TERM);
    }

    /// Waits for the end of the program, which has to be a success.
    pub(crate) fn finish(&mut self, limit: Duration) -> Result<(), Failure> {
        match self.wait(limit) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Failure::Status(status)),
            None => Err(Failure::Time(limit)),
        }
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Chromium ends with the Node process that drives it, but only if that one may say goodbye.
        if let Ok(None) = self.child.try_wait() {
            self.terminate();
            self.wait(GRACE);
        }
        let _ = kill_process_group(self.id, Signal::KILL);
        let _ = self.child.wait();
        lock_groups().retain(|group| *group != self.id);
    }
}

fn announce(command: &Command) {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<_> = [program].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    println!("$ {}", words.join(" "));
}

fn lock_groups() -> std::sync::MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
