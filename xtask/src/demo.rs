//! `cargo xtask demo`: the chat example, ready to be opened.

use std::process::ExitCode;

use crate::{
    command::{self, Failure, minutes},
    npm, project,
    server::Server,
    test::Adapter,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The framework the sockets are mounted in
    #[arg(long, value_enum, default_value = "warp")]
    adapter: Adapter,
    /// The port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 4000)]
    port: u16,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    npm::install(&project::root().join("examples/chat/page"))?;
    command::run(&mut project::cargo(&["build", "--package", "chat", "--locked"]), minutes(20))?;

    let adapter = options.adapter.name();
    let port = options.port.to_string();
    let server = Server::start(&project::program("chat")?, &["--adapter", adapter, "--port", &port])?;
    println!("\nChat on {adapter}: {}  (open it in two windows; Ctrl-C ends it)", server.url);
    server.serve()?;
    Ok(ExitCode::SUCCESS)
}
