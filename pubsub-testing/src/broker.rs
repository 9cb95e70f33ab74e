use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Log, Process};

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `redis-server`.
    Redis,
    /// `redis-server` that speaks nothing but TLS, with the certificate [`SERVER_CERTIFICATE`].
    RedisTls,
    /// `nats-server`.
    Nats,
    /// `nats-server` that speaks nothing but TLS, with the certificate [`SERVER_CERTIFICATE`].
    NatsTls,
}

/// The file with the certificate of brokers that speak TLS, which anybody can use: its key is public.
pub const SERVER_CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificates/server.pem");

/// The file with the key of [`SERVER_CERTIFICATE`].
pub const SERVER_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificates/server.key");

/// The file with the certificate that vouches for [`SERVER_CERTIFICATE`]; its own key does not exist any more.
pub const ROOT_CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificates/ca.pem");

/// A broker on a port of its own, with a folder of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    kind: Kind,
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
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
        let mut broker = Self { kind, program, folder, port: 0, process: None };
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
            Kind::RedisTls => "rediss",
            Kind::Nats => "nats",
            Kind::NatsTls => "tls",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
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

    /// Its process, to be paused, or for its log.
    ///
    /// # Panics
    /// If it was killed.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        match self.kind {
            Kind::Redis => command.args(["configuration", "--port", &port]),
            Kind::RedisTls => command.args(["configuration", "--port", "0", "--tls-port", &port]).args([
                "--tls-cert-file",
                SERVER_CERTIFICATE,
                "--tls-key-file",
                SERVER_KEY,
                "--tls-ca-cert-file",
                ROOT_CERTIFICATE,
            ]),
            Kind::Nats => command.args(["--config", "configuration", "--port", &port]),
            Kind::NatsTls => command.args(["--config", "configuration", "--port", &port]).args([
                "--tlsverify",
                "--tlscert",
                SERVER_CERTIFICATE,
                "--tlskey",
                SERVER_KEY,
                "--tlscacert",
                ROOT_CERTIFICATE,
            ]),
        };
        if self.kind.is_redis() {
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(["--daemonize", "no", "--logfile", ""]);
        } else {
            command.args(["--addr", "127.0.0.1"]);
        }
        command.current_dir(self.folder.path());
        let log = if self.kind.is_redis() { Log::Stdout } else { Log::Stderr };
        let process = Process::start(&mut command, log).expect("the program can be run");
        let ready = process.wait_for_log(self.kind.ready()).is_some();
        self.process = ready.then_some(process);
        ready
    }
}

impl Kind {
    fn is_redis(self) -> bool {
        matches!(self, Self::Redis | Self::RedisTls)
    }

    fn program(self) -> &'static str {
        if self.is_redis() { "redis-server" } else { "nats-server" }
    }

    /// What is in the line it writes when it accepts connections.
    fn ready(self) -> &'static str {
        if self.is_redis() { "Ready to accept connections" } else { "Server is ready" }
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
