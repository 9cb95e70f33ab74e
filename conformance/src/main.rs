//! The command line of `phoenix-conformance`.

#[cfg(feature = "serve")]
mod serve;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use phoenix_conformance::recording::{Meta, Recording};
use phoenix_conformance::{Deviations, Recorder, Replay, Verdict};
use tokio::net::TcpListener;

/// Replays recorded phoenix.js traffic against any Phoenix Channels server.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Replay(ReplayArgs),
    Record(RecordArgs),
    Show(ShowArgs),
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
}

/// Replay recordings against a server; fails if it behaves differently.
#[derive(Args)]
struct ReplayArgs {
    /// The server, for example <http://127.0.0.1:4000>.
    #[arg(long)]
    url: String,
    /// Where control calls (/ctl/…) are made, if not at the server's URL.
    #[arg(long)]
    ctl: Option<String>,
    /// Markdown file with the list of allowed differences.
    #[arg(long)]
    deviations: Option<PathBuf>,
    /// Name of the server, for differences that only some servers have.
    #[arg(long)]
    server: Option<String>,
    /// Write a `JUnit` report to this file.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write everything as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Replay only recordings whose name matches this glob pattern.
    #[arg(long)]
    filter: Option<String>,
    /// Recordings replayed at the same time.
    #[arg(long, default_value_t = 8)]
    parallel: usize,
    /// Seconds for which a late event is waited for.
    #[arg(long, default_value_t = 5.0)]
    patience: f64,
    /// How often a recording that failed is replayed again, with no other beside it.
    #[arg(long, default_value_t = 0)]
    again: u32,
    /// Compare the order of all frames of a connection, not only that of the frames of each topic.
    #[arg(long)]
    exact_order: bool,
    /// Shell command that stops the server as SIGTERM does, for the recordings in which that happens.
    #[arg(long)]
    stop: Option<String>,
    /// Shell command that starts a fresh server after that, and returns.
    #[arg(long, requires = "stop")]
    restart: Option<String>,
    /// Recordings to replay; by default those of this crate.
    files: Vec<PathBuf>,
}

/// Record the traffic between clients and a server.
#[derive(Args)]
struct RecordArgs {
    /// Address to listen at; once for every client that is to be told apart.
    #[arg(long, required = true)]
    listen: Vec<String>,
    /// Address of the server.
    #[arg(long)]
    upstream: String,
    /// File to write to.
    #[arg(long)]
    out: PathBuf,
    /// What is recorded, in a sentence.
    #[arg(long, default_value = "")]
    desc: String,
}

/// Print a recording for people to read.
#[derive(Args)]
struct ShowArgs {
    /// The recording.
    file: PathBuf,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Replay(args) => block_on(replay(args)),
        Command::Record(args) => block_on(record(args)),
        Command::Show(args) => show(&args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        anstream::eprintln!("error: {text}");
        ExitCode::from(2)
    })
}

fn block_on(
    command: impl Future<Output = Result<ExitCode, Box<dyn Error>>>,
) -> Result<ExitCode, Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

async fn replay(args: ReplayArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mut replay = Replay::new(&args.url)?
        .parallel(args.parallel)
        .patience(Duration::try_from_secs_f64(args.patience)?)
        .again(args.again);
    if args.exact_order {
        replay = replay.exact_order();
    }
    if let Some(url) = &args.ctl {
        replay = replay.ctl(url)?;
    }
    if let Some(path) = &args.deviations {
        replay = replay.deviations(Deviations::open(path)?);
    }
    if let Some(name) = args.server {
        replay = replay.server(name);
    }
    if let Some(pattern) = &args.filter {
        replay = replay.filter(pattern)?;
    }
    if let Some(command) = args.stop {
        replay = replay.on_stop(move || run_shell(command.clone()));
    }
    if let Some(command) = args.restart {
        replay = replay.on_restart(move || run_shell(command.clone()));
    }
    if !args.files.is_empty() {
        replay = replay.files(&args.files);
    }
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{elapsed} [{wide_bar}] {pos}/{len} {msg}")?);
    let progress = bar.clone();
    let report = replay
        .on_progress(move |now| {
            progress.set_length(now.total as u64);
            progress.set_position(now.done as u64);
            progress.set_message(now.latest.map_or_else(String::new, |outcome| outcome.name.clone()));
        })
        .run()
        .await?;
    bar.finish_and_clear();
    report.write_text(&mut anstream::stdout())?;
    if let Some(path) = &args.junit {
        report.write_junit(BufWriter::new(File::create(path)?))?;
    }
    if let Some(path) = &args.json {
        report.write_json(BufWriter::new(File::create(path)?))?;
    }
    let nothing = report.count(Verdict::Passed) + report.count(Verdict::Failed) == 0;
    if nothing {
        anstream::eprintln!("nothing was replayed");
    }
    Ok(if report.is_ok() && !nothing { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_shell(command: String) {
    match tokio::process::Command::new("sh").arg("-c").arg(&command).status().await {
        Ok(status) if status.success() => {}
        Ok(status) => anstream::eprintln!("{command}: {status}"),
        Err(error) => anstream::eprintln!("{command}: {error}"),
    }
}

async fn record(args: RecordArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mut listeners = Vec::new();
    for address in &args.listen {
        listeners.push(TcpListener::bind(address).await?);
    }
    let mut meta = Meta::default();
    meta.scenario = args.out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    meta.desc = args.desc;
    let recorder = Recorder::new(listeners, args.upstream, meta, BufWriter::new(File::create(&args.out)?))?;
    tokio::select! {
        result = recorder.run() => result?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> Result<ExitCode, Box<dyn Error>> {
    Recording::open(&args.file)?.show(&mut anstream::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
