//! `phx`, a command-line client that knows channels: join, push, leave, and watch events with references and
//! timings.

mod args;
mod console;
mod prompt;
mod record;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use phoenix_client::{Socket, SocketBuilder, Transport, V1, V2};

use args::{Args, Version};
use console::Console;
use prompt::Prompt;
use record::Recorder;
use watch::Watcher;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(run(args));
    // A pending read of the terminal must not keep the program alive.
    runtime.shutdown_background();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&*error),
    }
}

/// Whether every command succeeded.
async fn run(args: Args) -> Result<bool, Box<dyn std::error::Error>> {
    let interactive = std::io::stdin().is_terminal() && !args.json;
    let console = Arc::new(Console::new(args.json, interactive));
    let recorder = args.record.as_deref().map(|path| Recorder::create(path, args.vsn)).transpose()?;
    let socket = builder(&args, Watcher::new(Arc::clone(&console), args.vsn, recorder)).build()?;
    if let Err(error) = socket.connect().await {
        console.problem(&error);
        if !interactive {
            return Ok(false);
        }
    }
    let mut prompt = Prompt::new(socket, console, !interactive);
    for topic in args.topics {
        prompt.execute(&format!("join {topic}"));
    }
    prompt.run().await
}

fn builder(args: &Args, watcher: Watcher) -> SocketBuilder {
    let params = args.params.iter().cloned().map(|(key, value)| (key, value.into()));
    let params = serde_json::Value::Object(params.collect());
    let mut builder = Socket::builder(args.url.as_str()).params(params).observer(watcher);
    builder = match args.vsn {
        Version::V1 => builder.serializer(V1),
        Version::V2 => builder.serializer(V2),
    };
    if args.long_poll {
        builder = builder.transport(Transport::LongPoll);
    }
    if let Some(token) = &args.token {
        builder = builder.auth_token(token.as_str());
    }
    if let Some(timeout) = args.timeout {
        builder = builder.timeout(std::time::Duration::from_millis(timeout));
    }
    builder
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("phx: {error}");
    ExitCode::FAILURE
}
