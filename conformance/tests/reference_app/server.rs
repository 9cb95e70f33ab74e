use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(crate) const ADAPTERS: [&str; 3] = ["warp", "actix", "axum"];

/// A process that serves the reference application.
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) async fn start(adapter: &str) -> Self {
        Self::start_at(adapter, 0).await
    }

    pub(crate) async fn start_at(adapter: &str, port: u16) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_phoenix-conformance"))
            .args(["serve", "--port", &port.to_string(), "--workers", "2", "--adapter", adapter])
            .stdout(Stdio::piped())
            // Some channels panic because the recordings want them to.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = process.stdout.take().expect("it is piped");
        let line =
            BufReader::new(output).lines().next_line().await.unwrap().expect("it says where it listens");
        let address = line.strip_prefix("listening on ").expect("the line has a fixed form").to_owned();
        Self { process, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        let port = self.address.rsplit(':').next().expect("an address has a port");
        port.parse().expect("a port is a number")
    }

    /// Tells it to stop.
    pub(crate) async fn terminate(&self) {
        let pid = self.process.id().expect("the server runs").to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(kill.unwrap().success());
    }

    /// Waits until it has drained and ended without an error.
    pub(crate) async fn ended(&mut self) {
        assert!(self.process.wait().await.unwrap().success());
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
