//! The command line of the benchmarks.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum as _};
use phoenix_bench::compare::{self, Comparison, Contender};
use phoenix_bench::hot;
use phoenix_bench::limit;
use phoenix_bench::load::{self, Bound, Mode, Pid, Plan, Target};
use phoenix_bench::serve::{self, Adapter, Setup, Threads};

/// Load generator, limit server, server under test and their comparison.
#[derive(Parser)]
#[command(name = "phoenix-bench")]
enum Command {
    /// Run one load against a server and print its outcome as one line of JSON.
    Load(LoadArgs),
    /// Run the limit server on 127.0.0.1.
    Limit {
        /// 0 takes any free port.
        #[arg(long)]
        port: u16,
    },
    /// Run the server under test on 127.0.0.1.
    Serve(ServeArgs),
    /// Repeat one hot path in memory, for a profiler.
    Hot {
        path: hot::Path,
        /// Operations.
        times: u64,
    },
    /// Measure in memory what a second worker adds, and print a table.
    Workers {
        /// How often each kind of work is measured; the median counts.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// Measure servers against the limit server and write tables and plots.
    Compare(CompareArgs),
}

#[derive(Args)]
struct LoadArgs {
    mode: Mode,
    #[arg(long, default_value = "ws://127.0.0.1:4000")]
    url: String,
    #[arg(long, default_value = DEFAULT_PATH)]
    path: String,
    /// Of the server, for CPU and memory.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Instead of the number of the mode.
    #[arg(long)]
    clients: Option<usize>,
    /// Stop after this many messages instead of after a time.
    #[arg(long, conflicts_with_all = ["seconds", "warmup"])]
    messages: Option<u64>,
    /// Measured after the warm-up.
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// In seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    warmup: Duration,
    /// Never sleep: for a load that has a core of its own.
    #[arg(long)]
    busy: bool,
}

#[derive(Args)]
struct ServeArgs {
    #[arg(long, value_enum)]
    adapter: Adapter,
    /// 0 takes any free port.
    #[arg(long)]
    port: u16,
    #[arg(long, default_value = "1")]
    workers: NonZeroUsize,
    /// Of warp and axum.
    #[arg(long, value_enum, default_value = "per-core")]
    threads: Threads,
    /// The long polling of the limit server behind the framework, instead of this project.
    #[arg(long, conflicts_with_all = ["workers", "threads"])]
    alone: bool,
}

#[derive(Args)]
struct CompareArgs {
    /// NAME=COMMAND, with {port} in place of the port; may be given several times.
    #[arg(long = "server", required = true)]
    servers: Vec<Contender>,
    /// All modes unless given.
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measured in each run.
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    #[arg(long, default_value = DEFAULT_PATH)]
    path: String,
    /// A Markdown file with the markers.
    #[arg(long, default_value = "bench/README.md")]
    out: PathBuf,
    /// Or several cores: 0-1.
    #[arg(long, default_value = "0")]
    server_core: String,
    /// Or several cores.
    #[arg(long, default_value = "1")]
    load_core: String,
}

const DEFAULT_PATH: &str = "/bench/websocket?vsn=2.0.0";

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    // Thousands of sockets, in this process and in those it starts.
    rlimit::increase_nofile_limit(u64::MAX)?;
    match command {
        Command::Load(args) => {
            let target = Target::new(&args.url, &args.path)?;
            let outcome = load::run(&args.plan(), &target, args.server_pid.map(Pid))?;
            println!("{}", serde_json::to_string(&outcome)?);
        }
        Command::Limit { port } => limit::run(port, announce)?,
        Command::Serve(args) => serve::run(&args.setup(), announce)?,
        Command::Hot { path, times } => hot::phoenix_bench_measured(&mut *path.prepare(), times),
        Command::Workers { rounds } => workers(rounds),
        Command::Compare(args) => compare::run(&args.comparison()?)?,
    }
    Ok(())
}

/// Messages of each client in a round.
const MESSAGES: usize = 500;

fn workers(rounds: usize) {
    println!("| work | CPU per message, two workers over one | two workers do |\n|---|--:|--:|");
    for work in hot::Work::value_variants() {
        let mut ratios: Vec<_> =
            (0..rounds.max(1)).map(|_| hot::cost_of_second_worker(*work, MESSAGES)).collect();
        ratios.sort_by(f64::total_cmp);
        let (lowest, median, highest) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
        let name = work.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("| {name} | {median:.2} ({lowest:.2}–{highest:.2}) | {:.2} times as much |", 2.0 / median);
    }
}

/// What [`compare`] waits for.
fn announce(address: SocketAddr) {
    println!("listening on {address}");
}

impl ServeArgs {
    fn setup(&self) -> Setup {
        Setup {
            adapter: self.adapter,
            port: self.port,
            workers: self.workers,
            threads: self.threads,
            alone: self.alone,
        }
    }
}

impl LoadArgs {
    fn plan(&self) -> Plan {
        let mut plan = Plan::preset(self.mode);
        plan.clients = self.clients.unwrap_or(plan.clients);
        plan.busy = self.busy;
        plan.bound =
            self.messages.map_or(Bound::Time { warmup: self.warmup, window: self.seconds }, Bound::Messages);
        plan
    }
}

impl CompareArgs {
    fn comparison(self) -> Result<Comparison, Box<dyn Error>> {
        let modes = if self.modes.is_empty() { Mode::value_variants().to_vec() } else { self.modes };
        Ok(Comparison {
            program: std::env::current_exe()?,
            contenders: self.servers,
            modes,
            rounds: self.rounds,
            window: self.seconds,
            path: self.path,
            out: self.out,
            server_core: self.server_core,
            load_core: self.load_core,
        })
    }
}

fn seconds(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}
