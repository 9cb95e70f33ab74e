//! `cargo xtask demo`: the chat example, ready to be opened.

use std::{path::Path, process::ExitCode};

use crate::{
    command::{self, Failure, minutes},
    npm, prerequisites, project,
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
    /// How many servers to start, on this port and the next ones; they reach each other by a Redis server, which is
    /// started as well
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=20))]
    nodes: u16,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    npm::install(&project::root().join("examples/chat/page"))?;
    command::run(&mut project::cargo(&["build", "--package", "chat", "--locked"]), minutes(20))?;

    let program = project::program("chat")?;
    let redis = (options.nodes > 1).then(start_redis).transpose()?;
    let servers = (0..options.nodes)
        .map(|number| start_node(&program, options, redis.as_ref(), number))
        .collect::<Result<Vec<_>, _>>()?;
    println!("\nChat on {}; open it in two windows, Ctrl-C ends it:", options.adapter.name());
    for server in &servers {
        println!("  {}", server.url);
    }
    servers.into_iter().try_for_each(Server::serve)?;
    Ok(ExitCode::SUCCESS)
}

fn start_redis() -> Result<Server, Failure> {
    Server::start_redis(&prerequisites::find("redis-server").ok_or(Failure::Missing("redis-server"))?)
}

fn start_node(
    program: &Path,
    options: &Options,
    redis: Option<&Server>,
    number: u16,
) -> Result<Server, Failure> {
    let port = if options.port == 0 { 0 } else { options.port.saturating_add(number) }.to_string();
    let mut arguments = vec!["--adapter", options.adapter.name(), "--port", &port];
    let node = format!("node-{}", number + 1);
    if let Some(redis) = redis {
        arguments.extend(["--node", &node, "--redis", &redis.url]);
    }
    Server::start(program, &arguments)
}
