use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `redis-server`.
    Redis,
    /// `nats-server`.
    Nats,
}

/// A broker on a port of its own, with a folder of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    kind: Kind,
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    log: Mutex<mpsc::Receiver<String>>,
}

impl Broker {
    /// Starts a broker with some lines of configuration, and waits until it accepts connections. `None` if the program is
    /// not installed, which is said on the standard error output.
    ///
    /// # Panics
    /// If the program is not installed and the environment variable `CI` is `true`, or if it does not start.
    pub fn start(kind: Kind, configuration: &str) -> Option<Self> {
        let Some(program) = find(kind.program()) else {
            let program = kind.program();
            assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is not installed");
            eprintln!("NOT TESTED: {program} is not installed");
            return None;
        };
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        std::fs::write(folder.path().join("configuration"), configuration)
            .expect("the folder can be written to");
        let log = mpsc::channel().1.into();
        let mut broker = Self { kind, program, folder, port: 0, process: None, log };
        // Somebody else may take the port before the broker does.
        for _ in 0..10 {
            broker.port = free_port();
            if broker.try_start() {
                return Some(broker);
            }
        }
        panic!("{} does not start", kind.program());
    }

    /// Where it listens: a URL without a user.
    pub fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Redis => "redis",
            Kind::Nats => "nats",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that it has for itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        // The port can be another test's for a moment.
        assert!((0..100).any(|_| self.try_start()), "{} does not start again", self.kind.program());
    }

    /// Stops it from running, without ending it, until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for a line of its log that contains a text, beyond those that were waited for before. False if it ends
    /// without such a line.
    pub fn wait_for_log(&self, text: &str) -> bool {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().any(|line| line.contains(text))
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), signal).expect("it is a child of this process");
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        match self.kind {
            Kind::Redis => command
                .arg("configuration")
                .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .args(["--daemonize", "no", "--logfile", ""]),
            Kind::Nats => command.args(["--config", "configuration", "--addr", "127.0.0.1", "--port", &port]),
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        let log = match self.kind {
            Kind::Redis => command.stdout(Stdio::piped()).stderr(Stdio::null()),
            Kind::Nats => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut process = log.spawn().expect("the program can be run");
        let output: Option<Box<dyn Read + Send>> = match self.kind {
            Kind::Redis => process.stdout.take().map(|output| Box::new(output) as _),
            Kind::Nats => process.stderr.take().map(|output| Box::new(output) as _),
        };
        self.process = Some(process);
        let output = BufReader::new(output.expect("the output is piped"));
        let (sender, lines) = mpsc::channel();
        // It has to be read in any case, or the broker would wait for its log at some time.
        thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        self.log = lines.into();
        let ready = self.wait_for_log(self.kind.ready());
        if !ready {
            self.kill();
        }
        ready
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Nats => "nats-server",
        }
    }

    /// What is in the line it writes when it accepts connections.
    fn ready(self) -> &'static str {
        match self {
            Self::Redis => "Ready to accept connections",
            Self::Nats => "Server is ready",
        }
    }
}

/// A program on the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Debian keeps servers in a folder that not everybody searches.
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
    listener.local_addr().expect("it is bound").port()
}
