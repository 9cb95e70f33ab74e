use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// A program that runs beside a test, and ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Mutex<mpsc::Receiver<String>>,
}

/// Where a program writes what it does; its other output is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// On the standard output.
    Stdout,
    /// On the standard error output.
    Stderr,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn start(command: &mut Command, log: Log) -> io::Result<Self> {
        command.stdin(Stdio::null());
        match log {
            Log::Stdout => command.stdout(Stdio::piped()).stderr(Stdio::null()),
            Log::Stderr => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.spawn()?;
        let output: Option<Box<dyn Read + Send>> = match log {
            Log::Stdout => child.stdout.take().map(|output| Box::new(output) as _),
            Log::Stderr => child.stderr.take().map(|output| Box::new(output) as _),
        };
        let output = BufReader::new(output.expect("the output is piped"));
        let (sender, lines) = mpsc::channel();
        // It has to be read in any case, or the program would wait for its log at some time.
        thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Ok(Self { child, log: lines.into() })
    }

    /// Waits for a line of its log that contains a text, beyond those that were waited for before. `None` if it ends
    /// without such a line.
    pub fn wait_for_log(&self, text: &str) -> Option<String> {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.contains(text))
    }

    /// Stops it from running, without ending it, until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it, without giving it a chance to say goodbye.
    pub fn kill(self) {}

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is a child of this process");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
