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
        let mut process = Command::new(env!("CARGO_BIN_EXE_phoenix-conformance"))
            .args(["serve", "--port", "0", "--workers", "2", "--adapter", adapter])
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

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().expect("the server runs")
    }

    /// A recording has stopped the server: it drains and exits without an error.
    pub(crate) async fn ended(mut self) {
        assert!(self.process.wait().await.unwrap().success());
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
